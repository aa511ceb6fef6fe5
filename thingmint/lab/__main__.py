"""`python -m thingmint.lab <workspace>`: the background process that `invoke lab-up` starts."""

import sys
from pathlib import Path

from thingmint.errors import ThingmintError, explain_os_error
from thingmint.lab.state import Failure, LabFolder, read_role, write


def main() -> int:
    from thingmint.lab.cloud.server import run

    folder = LabFolder(Path(sys.argv[1]) / "lab")
    try:
        run(folder, read_role(folder))
    except (ThingmintError, OSError) as raised:
        error = explain_os_error(raised) if isinstance(raised, OSError) else raised
        sys.stderr.write(error.render() + "\n")
        write(folder.failure, Failure.of(error))
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
