"""Templates to text: the only user of Jinja. Values are validated before they come here (a cnf has its own syntax)."""

from collections.abc import Mapping
from pathlib import Path

TEMPLATES = Path(__file__).resolve().parent.parent / "templates"


def render(template: str, values: Mapping[str, object]) -> str:
    """The named file of templates/ with `values`; a name the template uses and nobody gave is an error."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - plain text, no HTML  # nosec
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values)
