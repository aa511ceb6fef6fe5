// A device in Microsoft's SDK for Node.js that registers at the provisioning service by X.509, over MQTT in websockets, and
// prints the hub that it is assigned to. The way there is the lab's proxy; its CA comes by NODE_EXTRA_CA_CERTS.
'use strict';

const { readFileSync } = require('node:fs');
const { MqttBase } = require('azure-iot-mqtt-base');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { MqttWs } = require('azure-iot-provisioning-device-mqtt');
const { X509Security } = require('azure-iot-security-x509');
const { HttpsProxyAgent } = require('https-proxy-agent');

const [host, idScope, registrationId, certificate, key] = process.argv.slice(2);

async function main() {
  // This client has no option for an agent; the layer below it, which it takes ready made, has one.
  const base = new MqttBase();
  base.setOptions({ mqtt: { webSocketAgent: new HttpsProxyAgent(process.env.HTTPS_PROXY) } });
  const pair = { cert: readFileSync(certificate, 'ascii'), key: readFileSync(key, 'ascii') };
  const client = ProvisioningDeviceClient.create(host, idScope, new MqttWs(base), new X509Security(registrationId, pair));
  const { assignedHub, deviceId } = await client.register();
  console.log(`${assignedHub} ${deviceId}`);
}

main().catch((error) => {
  console.error(`${error.name}: ${error.message}`);
  process.exit(1);
});
