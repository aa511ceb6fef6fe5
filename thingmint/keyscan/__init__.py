"""No private key is ever tracked by git: the pre-commit hook and `make lint` run `python -m thingmint.keyscan`.

repository reads blobs out of git, material finds keys in their bytes, der tells one by its structure.
"""
