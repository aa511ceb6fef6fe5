// A device in Microsoft's SDK for Node.js: connects by X.509 over MQTT in websockets, sends one message, prints "sent".
// What differs from a device in the field is the way there, which is the lab's proxy; its CA comes by NODE_EXTRA_CA_CERTS.
'use strict';

const { readFileSync } = require('node:fs');
const { Client, Message } = require('azure-iot-device');
const { MqttWs } = require('azure-iot-device-mqtt');
const { HttpsProxyAgent } = require('https-proxy-agent');

const [hub, deviceId, certificate, key, body] = process.argv.slice(2);

async function main() {
  const client = Client.fromConnectionString(`HostName=${hub};DeviceId=${deviceId};x509=true`, MqttWs);
  client.setRetryPolicy({ shouldRetry: () => false, nextRetryTimeout: () => 0 });
  await client.setOptions({
    cert: readFileSync(certificate, 'ascii'),
    key: readFileSync(key, 'ascii'),
    mqtt: { webSocketAgent: new HttpsProxyAgent(process.env.HTTPS_PROXY) },
  });
  await client.open();
  await client.sendEvent(new Message(body));
  await client.close();
  console.log('sent');
}

main().catch((error) => {
  console.error(`${error.name}: ${error.message}`);
  process.exit(1);
});
