"""What cures a failure, in the words of Nordic's and Zephyr's libraries: options and calls that their sources have.

mqtt_helper: https://github.com/nrfconnect/sdk-nrf/tree/main/subsys/net/lib/mqtt_helper (Kconfig, mqtt_helper.c)
the sample: https://github.com/nrfconnect/sdk-nrf/tree/main/samples/net/azure_iot_hub (src/main.c)
Zephyr: https://github.com/zephyrproject-rtos/zephyr/tree/main/subsys/net/lib/mqtt (Kconfig, mqtt.c)
"""

# mqtt_helper.c, client_connect: tls_cfg->peer_verify and tls_cfg->hostname.
VERIFY = (
    "the TLS socket wants TLS_PEER_VERIFY_REQUIRED: Nordic's mqtt_helper sets it, a socket of one's own has to "
    "(peer_verify of struct mqtt_sec_config)"
)
DATE = f"{VERIFY}; where it is set, the device has no clock to judge a date by"
HOST = (
    "the TLS socket wants TLS_HOSTNAME: mqtt_helper sets it to the hub's name (CONFIG_AZURE_IOT_HUB_HOSTNAME), "
    "a socket of one's own has to (hostname of struct mqtt_sec_config)"
)
# The modem's TLS, or Mbed TLS, speaks for itself: no option of the libraries makes it send an alert.
ALERT = (
    "a TLS library tells by an alert that it refuses a certificate (RFC 5246, 7.2.2); where it does not, "
    "the device's own log has to show that the certificate was the reason"
)
# mqtt_helper's Kconfig: for an additional server certificate.
SECOND_ROOT = (
    "CONFIG_MQTT_HELPER_SECONDARY_SEC_TAG has to name the tag that holds the second root "
    "(`invoke provision` loads it into 11; -1, the default, means none)"
)
CREDENTIALS = (
    "CONFIG_MQTT_HELPER_SEC_TAG has to name the tag that `invoke provision` loaded (10, if not told otherwise)"
)
# main.c, azure_event_handler: both events are logged there, and that is all.
RETURN = (
    "call azure_iot_hub_connect() again after AZURE_IOT_HUB_EVT_DISCONNECTED and AZURE_IOT_HUB_EVT_CONNECTION_FAILED: "
    "Nordic's sample only logs them"
)
# No option of the libraries waits between attempts.
BACK_OFF = (
    "the application waits between two calls of azure_iot_hub_connect(): twice as long each time, up to a limit, "
    "and with a random part (sys_rand32_get())"
)
# mqtt_helper.c, mqtt_helper_poll_loop: it polls the socket, and knows no time for a CONNACK.
CONNACK = (
    "mqtt_helper has no time-out for a CONNACK: the application needs one of its own (a delayable work item that "
    "AZURE_IOT_HUB_EVT_CONNECTED cancels)"
)
# main.c, send_event: .qos = MQTT_QOS_0_AT_MOST_ONCE.
QOS = "send with .qos = MQTT_QOS_1_AT_LEAST_ONCE in struct azure_iot_hub_msg: Nordic's sample sends at QoS 0"
# Zephyr's mqtt_publish keeps nothing; azure_iot_hub.h has the event for a PUBACK.
KEEP = (
    "Zephyr's MQTT client keeps no message: the application does, until AZURE_IOT_HUB_EVT_PUBACK, "
    "and sends it again after AZURE_IOT_HUB_EVT_READY"
)
# Zephyr's Kconfig: MQTT_KEEPALIVE, 60 by default. mqtt_helper.c calls on_pingresp and looks at unacked_ping nowhere;
# nRF Cloud's library does (nct_process in subsys/net/lib/nrf_cloud).
KEEP_ALIVE = (
    "mqtt_helper leaves a missing PINGRESP to its user: count in its callback on_pingresp, and connect anew where it "
    "stays away (CONFIG_MQTT_KEEPALIVE says how often is asked)"
)
# https://docs.zephyrproject.org/2.7.0/reference/kconfig/CONFIG_MQTT_CLEAN_SESSION.html
SESSION = "CONFIG_MQTT_CLEAN_SESSION=n"
# main.c, on_evt_twin_desired and twin_report_work_fn.
DESIRED = (
    "handle AZURE_IOT_HUB_EVT_TWIN_DESIRED_RECEIVED, and report with AZURE_IOT_HUB_TOPIC_TWIN_REPORTED: "
    "Nordic's sample shows both"
)
# main.c, direct_method_handler: a method that it does not know is logged, and nothing is sent.
METHOD = (
    "answer each AZURE_IOT_HUB_EVT_DIRECT_METHOD by azure_iot_hub_method_respond(), unknown methods, too: "
    "Nordic's sample answers `led` alone"
)
LED = "have a method `led` for the trial, as Nordic's sample does: then a call is seen to be carried out"
STATUS = (
    "azure_iot_hub_method_respond() takes the status: 200 where the method was carried out, 404 where there is none"
)
