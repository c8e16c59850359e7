import pytest

from logos_core.errors import ConfigurationError
from logos_core.presets import load

GOOD = {"schema": 1, "venue": '"alpaca"', "environment": '"paper"', "strategy": '"s"'}


def written(tmp_path, extra="", **changes):
    lines = {**GOOD, **changes}
    path = tmp_path / "preset.toml"
    path.write_text("\n".join(f"{name} = {value}" for name, value in lines.items() if value is not None) + "\n" + extra)
    return path


def refused(path, *words):
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    for word in (str(path), *words):
        assert word in str(caught.value)


def test_a_short_preset_is_whole(tmp_path):
    preset = load(written(tmp_path))

    assert ("alpaca", "paper", "s", None, None) == (
        preset.venue,
        preset.environment,
        preset.strategy,
        preset.base_url,
        preset.account_id,
    )
    assert (3, 5.0, 1.0, 10.0, False) == (
        preset.retry.attempts,
        preset.retry.valid_for_s,
        preset.rate_limit.max_wait_s,
        preset.session.timeout_s,
        preset.absence.gateway_window_is_proof,
    )


@pytest.mark.parametrize("environment", ["simulator", "paper", "shadow"])
def test_off_the_market_nothing_need_wait_for_an_unknown_outcome(tmp_path, environment):
    preset = load(written(tmp_path, "[unknown]\nholds = 'none'", environment=f'"{environment}"'))

    assert "none" == preset.unknown.holds


def test_live_something_waits_for_an_unknown_outcome(tmp_path):
    live = {"environment": '"live"'}
    refused(written(tmp_path, "[unknown]\nholds = 'none'", **live), "unknown.holds is 'none'", "'live'", "'instrument', 'account'")

    assert "instrument" == load(written(tmp_path, **live)).unknown.holds
    assert "account" == load(written(tmp_path, "[unknown]\nholds = 'account'", **live)).unknown.holds


def test_every_key_arrives_where_it_belongs(tmp_path):
    extra = """
    base_url = "http://127.0.0.1:1"
    account_id = "7"
    [credentials]
    key = "env:KEY"
    [venue_options]
    account = "x"
    [retry]
    attempts = 5
    valid_for_s = 9
    [rate_limit]
    requests = 3
    period_s = 2.5
    [absence]
    gateway_window_is_proof = true
    [session]
    extensions = ["a"]
    ledger = "l"
    """
    preset = load(written(tmp_path, extra))

    assert (5, 9.0, 3, 2.5) == (
        preset.retry.attempts,
        preset.retry.valid_for_s,
        preset.rate_limit.requests,
        preset.rate_limit.period_s,
    )
    assert ({"key": "env:KEY"}, {"account": "x"}) == (preset.credentials, preset.venue_options)
    assert (True, ("a",), "l", "7") == (
        preset.absence.gateway_window_is_proof,
        preset.session.extensions,
        preset.session.ledger,
        preset.account_id,
    )


@pytest.mark.parametrize(
    ("extra", "nearest"),
    [
        ("stratgy = 's'", "did you mean strategy?"),
        ("[retri]", "did you mean retry?"),
        ("[retry]\natempts = 3", "did you mean retry.attempts?"),
        ("[rate_limit]\nrequest = 3", "did you mean rate_limit.requests?"),
        ("[unknown]\nhold = 'account'", "did you mean unknown.holds?"),
        ("[absence]\ngateway_window_is_prof = true", "did you mean absence.gateway_window_is_proof?"),
        ("[session]\ntimeout = 3", "did you mean session.timeout_s?"),
        ("zzz = 1", "allowed: schema"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(tmp_path, extra, nearest):
    refused(written(tmp_path, extra), "unknown key", nearest)


@pytest.mark.parametrize(
    ("extra", "key"),
    [
        ("[retry]\nattempts = '3'", "retry.attempts"),
        ("[retry]\nattempts = 3.0", "retry.attempts"),
        ("[retry]\nattempts = true", "retry.attempts"),
        ("[retry]\nvalid_for_s = '5'", "retry.valid_for_s"),
        ("[retry]\nvalid_for_s = true", "retry.valid_for_s"),
        ("[absence]\ngateway_window_is_proof = 1", "absence.gateway_window_is_proof"),
        ("[absence]\ngateway_window_is_proof = 'no'", "absence.gateway_window_is_proof"),
        ("[session]\nextensions = 'a'", "session.extensions"),
        ("[session]\nledger = 5", "ledger"),
        ("[rate_limit]\nrequests = 1.5", "requests"),
        ("[unknown]\nholds = 'symbol'", "instrument"),
        ("[unknown]\nholds = true", "unknown.holds"),
        ("[rate_limit]\nperiod_s = '5'", "rate_limit"),
        ("[credentials]\nkey = 5", "credentials.key"),
        ("[venue_options]\naccount = [1]", "venue_options.account"),
    ],
)
def test_a_value_of_another_kind_is_refused_and_never_bent_into_shape(tmp_path, extra, key):
    refused(written(tmp_path, extra), key)


@pytest.mark.parametrize("key", ["requests", "period_s"])
def test_yes_is_no_number(tmp_path, key):
    refused(written(tmp_path, f"[rate_limit]\n{key} = true"), key)


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("retry", "attempts", 0), ("retry", "attempts", 21), ("retry", "valid_for_s", 0), ("retry", "valid_for_s", 300.1),
        ("retry", "valid_for_s", "nan"), ("retry", "backoff_s", -0.1), ("rate_limit", "requests", 0), ("rate_limit", "period_s", 0),
        ("rate_limit", "max_wait_s", 61), ("rate_limit", "max_wait_s", "inf"), ("session", "timeout_s", 0), ("session", "timeout_s", 121),
    ],
)  # fmt: skip
def test_a_value_out_of_its_range_is_refused(tmp_path, table, key, value):
    refused(written(tmp_path, f"[{table}]\n{key} = {value}"), f"[{table}]", key)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"schema": None}, "schema"),
        ({"schema": 2}, "schema is 2"),
        ({"schema": '"1"'}, "schema is '1'"),
        ({"venue": None}, "venue"),
        ({"venue": '" "'}, "venue"),
        ({"strategy": 7}, "strategy"),
        ({"environment": '"production"'}, "allowed: simulator, paper, shadow, live"),
        ({"base_url": 5}, "base_url"),
        ({"retry": 5}, "must be a table [retry]"),
        ({"credentials": '"x"'}, "must be a table [credentials]"),
    ],
)
def test_a_preset_that_says_too_little_or_something_else_is_refused(tmp_path, changes, word):
    refused(written(tmp_path, **changes), word)


def test_a_file_that_cannot_be_read_as_a_preset_is_refused(tmp_path):
    refused(tmp_path / "gone.toml", "does not exist")
    refused(tmp_path, "cannot be read")
    (tmp_path / "bad.toml").write_text("a = ")
    refused(tmp_path / "bad.toml", "is not TOML")
    (tmp_path / "latin.toml").write_bytes(b"venue = '\xe9'")
    refused(tmp_path / "latin.toml", "cannot be read")
