"""What a person or a file can get wrong: each ends in one message, the right exit code, and no order."""

import os
import subprocess
import sys

import pytest

from tests.cli.conftest import bow_to_modes


def refused(desk, preset, *, intent_id="never", quantity="1", limit="100", symbol="AAPL"):
    done = desk.logos("submit", preset, "buy", quantity, symbol, "--limit", limit, "--intent-id", intent_id)
    assert "Traceback" not in done.err
    assert "" == done.out
    return done.code, done.err


@pytest.fixture(autouse=True)
def nothing_is_ordered(desk):
    yield

    assert [] == desk.simulator.ask("orders")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"venue": '"alpacca"'}, "venue 'alpacca' is not installed; installed: alpaca, ccxt, oanda; did you mean 'alpaca'?"),
        ({"venue": '"ccxt"'}, "supported: ccxt:binance"),
        ({"venue": '"binance"'}, "venue 'binance' is not installed; installed: alpaca, ccxt, oanda; did you mean 'ccxt:binance'?"),
        ({"retry__attemps": "3"}, "unknown key retry.attemps; did you mean retry.attempts?"),
        ({"environment": '"live"'}, "environment is 'live'"),
        ({"environment": '"papper"'}, "environment is 'papper'; allowed: simulator, paper, shadow, live"),
        ({"account_id": '"PA999"'}, "account_id is 'PA999', the key belongs to 'PA3SIMULATED'"),
        ({"base_url": '"https://api.alpaca.markets"'}, "a simulator is on this machine"),
        ({"credentials__key_id": '"env:NOT_THERE"'}, "the environment variable NOT_THERE is not set"),
        ({"schema": "2"}, "schema is 2"),
        ({"retry__attempts": '"many"'}, "retry.attempts is 'many'"),
    ],
)
def test_a_preset_that_is_wrong_is_refused_by_name(desk, changes, said):
    code, err = refused(desk, desk.write("wrong.toml", **changes))

    assert 2 == code
    assert said in err


def test_a_secret_in_place_of_a_reference_is_refused_and_never_repeated(desk):
    code, err = refused(desk, desk.write("wrong.toml", credentials__secret_key='"hunter2hunter2"'))

    assert 2 == code
    assert "credentials.secret_key: a secret stands here as a literal" in err
    assert "hunter2" not in err


def test_a_preset_that_does_not_exist_is_refused_with_what_writes_one(desk):
    code, err = refused(desk, desk.folder / "none.toml")

    assert 2 == code
    assert "does not exist; `logos init VENUE` writes some" in err


@pytest.mark.parametrize("command", ["rehearse", "reconcile", "orders"])
@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda path: None, "the preset {path} does not exist; `logos init VENUE` writes some"),
        (lambda path: path.mkdir(), "the preset {path} cannot be read (Is a directory); give a TOML file that you may read"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "the preset {path} cannot be read (it is not UTF-8); save it as UTF-8"),
        (lambda path: path.write_text("not = = toml"), "the preset {path} is not TOML: Invalid value (at line 1, column 7)"),
        (lambda path: path.write_text("schema = 1"), "{path}: venue is None; it must be a text"),
    ],
    ids=["missing", "directory", "bytes", "no toml", "no preset"],
)
def test_a_preset_that_cannot_be_read_is_refused_by_every_command_alike(desk, tmp_path, command, made, said):
    path = tmp_path / "nope.toml"
    made(path)
    done = desk.logos(command, path)

    assert (2, "", f"logos: error: {said.format(path=path)}\n") == done


@pytest.mark.parametrize(
    "words",
    [
        "rehearse sealed.toml",
        "reconcile sealed.toml",
        "orders sealed.toml",
        "show x --preset sealed.toml",
        "resume --by Ann --by Bob --because x --preset sealed.toml",
        "resolve x --as not-placed --by Ann --because x --preset sealed.toml",
    ],
)
def test_a_preset_that_may_not_be_read_is_refused_by_every_command_alike(desk, tmp_path, words):
    path = tmp_path / "sealed.toml"
    path.touch(mode=0o000)
    done = desk.logos(*words.replace("sealed.toml", str(path)).split(), preexec_fn=bow_to_modes)

    said = f"the preset {path} cannot be read (Permission denied); give a TOML file that you may read"
    assert (2, "", f"logos: error: {said}\n") == done


@pytest.mark.parametrize(
    ("field", "given", "said"),
    [
        ("quantity", "0", "quantity is 0; it must be greater than zero"),
        ("quantity", "-1", "quantity is -1; it must be greater than zero"),
        ("quantity", "NaN", "quantity is NaN; it must be a finite number"),
        ("quantity", "Infinity", "it must be a finite number"),
        ("quantity", "ten", "quantity is 'ten', which is not a number"),
        ("quantity", "1." + "0" * 60 + "1", "more than 40 digits"),
        ("quantity", "0.0000000001", "quantity is 0.0000000001; the venue takes"),
        ("limit", "-5", "price is -5; it must be greater than zero"),
        ("limit", "100.001", "price is 100.001; the venue takes multiples of 0.01"),
        ("symbol", "APPL", "symbol is 'APPL'; alpaca does not list it"),
    ],
)
def test_an_order_that_cannot_be_is_denied_with_the_figures(desk, field, given, said):
    code, err = refused(desk, desk.preset, **{field: given})

    assert 3 == code
    assert err.startswith("logos: denied: ")
    assert said in err


def test_a_denial_is_an_object_with_its_reason_where_json_was_asked_for(desk):
    done = desk.logos("submit", desk.preset, "buy", "0", "AAPL", "--intent-id", "never", "--json")

    expected = {
        "error": "InvalidOrderError",
        "message": "quantity is 0; it must be greater than zero [ORDER_INVALID]",
        "reason": "ORDER_INVALID",
        "exit_code": 3,
    }
    assert (expected, "") == (done.error(), done.out)


def test_a_side_that_is_none_is_denied_with_what_is_allowed(desk):
    done = desk.logos("submit", desk.preset, "hold", "1", "AAPL", "--intent-id", "never")

    assert (3, "logos: denied: side is 'hold'; allowed: buy, sell [ORDER_INVALID]\n") == (done.code, done.err)


def test_a_limit_without_a_price_is_a_usage_error(desk):
    done = desk.logos("submit", desk.preset, "buy", "1", "AAPL", "--intent-id", "never", "--limit")

    assert 2 == done.code
    assert "--limit" in done.err


def test_an_order_without_an_intent_id_is_a_usage_error(desk):
    done = desk.logos("submit", desk.preset, "buy", "1", "AAPL")

    assert 2 == done.code
    assert "--intent-id" in done.err


def test_a_simulator_that_does_not_run_is_unavailable_and_the_way_to_start_it_is_named(desk):
    code, err = refused(desk, desk.write("wrong.toml", base_url='"http://127.0.0.1:9"'))

    assert 7 == code
    assert "is the simulator running at http://127.0.0.1:9? start it with: logos simulate alpaca" in err


def test_a_ledger_path_that_is_a_directory_is_refused(desk):
    code, err = refused(desk, desk.write("wrong.toml", session__ledger=f'"{desk.folder}"'))

    assert 2 == code
    assert "adopt" in err or "is a directory" in err


@pytest.mark.parametrize(
    "words",
    [
        ["resolve", "x", "--preset", "p.toml", "--as", "not-placed", "--because", "x"],
        ["resolve", "x", "--preset", "p.toml", "--as", "not-placed", "--by", "x"],
        ["resume", "--by", "ann", "--by", "bob"],
        ["resume", "--because", "x"],
        ["resume", "--by", "ann", "--because", "x"],
        ["resume", "--by", "ann", "--by", " ANN ", "--because", "x"],
        ["resume", "--by", "ann", "--by", "bob", "--because", " "],
        ["resolve", "x", "--preset", "p.toml", "--as", "filled", "--by", "ann", "--because", "x"],
        ["simulate", "alpacca"],
        ["simulate", "alpaca", "--faults", "none.json"],
        ["simulate", "alpaca", "--port", "99999"],
        ["init", "alpacca"],
        ["orders", "none.toml"],
        ["show", "nobody"],
        ["halt", "a/b"],
        ["halt", "--becuase", "x"],
    ],
)
def test_a_command_that_lacks_or_mistakes_something_is_a_usage_error(run, words):
    done = run(*words)

    assert (2, "") == (done.code, done.out)
    assert "Traceback" not in done.err


def test_a_fault_plan_with_an_unknown_kind_is_refused_with_the_nearest(run, tmp_path):
    plan = tmp_path / "plan.json"
    plan.write_text('{"faults": [{"kind": "reset_befor"}]}')
    done = run("simulate", "alpaca", "--faults", plan)

    assert 2 == done.code
    assert "did you mean 'reset_before'?" in done.err


def test_a_reader_that_leaves_is_no_error(desk):
    command = f"{sys.executable} -m logos_core.cli status | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        check=False,
        env={**os.environ, "LOGOS_HOME": str(desk.home)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (0, "") == (done.returncode, done.stderr)
