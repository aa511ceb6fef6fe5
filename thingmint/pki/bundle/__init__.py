"""The team's bundle: what is inside, whether it holds together, and how it joins what is here."""
