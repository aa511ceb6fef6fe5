"""What the lab keeps in memory for those who watch, whatever strangers call themselves."""

from thingmint.lab.cloud.feed import Feed


def test_what_strangers_say_of_themselves_fills_no_memory() -> None:
    feed = Feed()
    long = "x" * 60_000
    for number in range(1_100):
        feed.showed(f"{number}{long}", [b"c" * 20_000], vouchers=["subca"], why=f"unknown issuer {long}")
        feed.refused(long, long, device=number % 2 == 0)
    kept = sum(len(name) + len(one.why) + sum(map(len, one.certificates)) for name, one in feed.turned_away.items())
    assert kept < 5_000_000
    assert sum(len(one.who) + len(one.why) for one in [*feed.refusals, *feed.requests]) < 1_000_000
    assert "1099xxx" in next(reversed(feed.turned_away))


def test_a_registered_id_is_kept_whole() -> None:
    feed = Feed()
    feed.showed("d" * 128, [b"c"], vouchers=["subca"], why="expired")
    assert feed.turned_away["d" * 128].vouchers == ("subca",)
