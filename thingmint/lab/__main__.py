"""`python -m thingmint.lab <workspace>`: the background process that `invoke lab-up` starts."""

import sys
from pathlib import Path

from thingmint.errors import ThingmintError
from thingmint.lab.state import LabFolder, read_role


def main() -> int:
    from thingmint.lab.cloud.server import run

    folder = LabFolder(Path(sys.argv[1]) / "lab")
    try:
        run(folder, read_role(folder))
    except ThingmintError as error:
        sys.stderr.write(error.render() + "\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
