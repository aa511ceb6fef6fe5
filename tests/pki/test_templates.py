"""The cnf files: the article's to the letter, and the hardened ones nothing but the article's plus marked lines."""

import pytest

from thingmint.render import render

# The configuration files of the article, with the one word that differs between its two.
ARTICLE = """\
[ ca ]
default_ca      = ca_default

[ ca_default ]
name            = {name}
home            = $name
database        = $home/db/index.txt
serial          = $home/db/serial.txt
new_certs_dir   = $home/certs
certificate     = $home/$name.pem
private_key     = $home/$name.key
policy          = policy_default
default_md      = sha256
default_days    = 3650
copy_extensions = copy
subjectKeyIdentifier = hash

[ policy_default ]
commonName      = supplied
"""


@pytest.mark.parametrize("name", ["rootca", "subca"])
def test_article_profile_is_the_articles_file(name: str) -> None:
    assert render(f"{name}.cnf.j2", {"name": name, "days": 3650, "hardened": False, "below": []}) == ARTICLE.format(
        name=name
    )


@pytest.mark.parametrize("name", ["rootca", "subca"])
def test_hardened_profile_minus_its_marked_lines_is_the_articles_file(name: str) -> None:
    hardened = render(
        f"{name}.cnf.j2", {"name": name, "days": 3650, "hardened": True, "below": [("v3_intermediate", 0)]}
    )
    marked = [line for line in hardened.splitlines() if "# beyond the article: " in line]
    plain = [line for line in hardened.splitlines() if "# beyond the article: " not in line]
    assert "\n".join(plain) + "\n" == ARTICLE.format(name=name)
    assert len(marked) > 8
    for line in marked:
        assert len(line.split("# beyond the article: ")[1]) > 10, f"no reason given: {line}"


def test_a_name_that_the_template_needs_and_nobody_gave_is_an_error() -> None:
    with pytest.raises(Exception, match="undefined"):
        render("rootca.cnf.j2", {"name": "rootca"})
