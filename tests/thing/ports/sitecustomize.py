"""For Nordic's tools alone, by PYTHONPATH: let pyserial list a pty, as it lists a real modem's port.

They take no port that is not listed, and pyserial lists none of /dev/pts.
"""

import os

from serial.tools import list_ports, list_ports_common

listed = [list_ports_common.ListPortInfo(os.path.realpath(os.environ["SIMULATED_PORT"]))]
vars(list_ports)["comports"] = lambda **_: listed
