"""Nordic's AT host as its source has it: terminators, quotes, a full buffer, and the way out of it."""

import pytest

from thingmint.lab.thing.host import BUFFER, AtHost, Shell


def commands(host: AtHost | Shell, data: bytes) -> list[bytes]:
    return [found for byte in data if (found := host.feed(byte)) is not None]


@pytest.mark.parametrize(("name", "end"), [("cr", b"\r"), ("null", b"\0"), ("lf", b"\n"), ("crlf", b"\r\n")])
def test_each_terminator_ends_a_command(name: str, end: bytes) -> None:
    assert commands(AtHost(name), b"AT+CGSN" + end + b"AT" + end) == [b"AT+CGSN", b"AT"]


def test_a_client_of_another_terminator_is_tolerated() -> None:
    assert commands(AtHost("cr"), b"\r\nAT+CGSN\r\nAT\r\n") == [b"AT+CGSN", b"AT"]
    assert commands(AtHost("lf"), b"AT+CGSN\r\n") == [b"AT+CGSN"]


def test_inside_quotes_nothing_ends_a_command() -> None:
    assert commands(AtHost("cr"), b'AT%CMNG=0,1,0,"a\r\nb\rc"\r') == [b'AT%CMNG=0,1,0,"a\r\nb\rc"']


def test_backspace_and_delete_take_a_character_away() -> None:
    assert commands(AtHost("cr"), b"\x08ATX\x08+CGMX\x7fR\r") == [b"AT+CGMR"]


def test_empty_lines_are_no_commands() -> None:
    assert commands(AtHost("cr"), b"\r\r \r\n\r") == []


def test_the_longest_command_has_4095_characters() -> None:
    head = b'AT%CMNG=0,42,1,"'
    fits = head + b"x" * 4078 + b'"'
    assert len(fits) == BUFFER - 1
    assert commands(AtHost("cr"), fits + b"\r") == [fits]


def test_one_character_more_and_the_host_is_stuck_until_the_resync() -> None:
    host = AtHost("cr")
    head = b'AT%CMNG=0,42,1,"'
    assert commands(host, head + b"x" * 4079 + b'"\r' + b"AT\r" * 20) == []
    [cut] = commands(host, b'\x7f\x7f\x7f"\r')  # a buffer that is full has no room for a quote
    assert cut.startswith(head)
    assert cut.endswith(b'x"')
    assert commands(host, b"AT\r") == [b"AT"]


def test_a_buffer_that_is_not_full_needs_a_quote_alone() -> None:
    host = AtHost("cr")
    assert commands(host, b'AT%CMNG=0,42,1,"abc' + b"\rAT\r") == []
    assert commands(host, b'"\r') == [b'AT%CMNG=0,42,1,"abc\rAT\r"']
    assert commands(host, b"AT\r") == [b"AT"]


def test_deleting_a_quote_does_not_end_the_quotation() -> None:
    host = AtHost("cr")
    assert commands(host, b'AT"\x7f\r') == []
    assert commands(host, b'"\r') == [b'AT\r"']


def test_a_shell_answers_every_line() -> None:
    assert commands(Shell(), b"at AT+CGSN\r\n\r") == [b"at AT+CGSN", b""]
