import copy
import pickle
import sys
import types

import pytest

from logos_core.errors import ConfigurationError
from logos_core.secrets import Secret, resolve

CANARY = "sk-canary-9f31"


def test_a_secret_shows_itself_in_no_way():
    secret = Secret(CANARY)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>40}", repr([secret]), repr(vars(type(secret)))]

    assert not [text for text in shown if CANARY in text]
    assert not hasattr(secret, "__dict__")
    assert CANARY == secret.reveal()


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy, lambda secret: pickle.dumps({"a": [secret]}, protocol=0)])
def test_a_secret_is_not_copied_or_stored(leak):
    with pytest.raises(TypeError) as caught:
        leak(Secret(CANARY))

    assert CANARY not in str(caught.value)


def test_secrets_are_not_compared():
    assert Secret(CANARY) != Secret(CANARY)


@pytest.mark.parametrize("literal", [CANARY, f"http://{CANARY}", f"ENV:{CANARY}", f" env:{CANARY}", "", "env:", None, 5, ["env:A"]])
def test_a_literal_is_refused_and_never_repeated(literal):
    with pytest.raises(ConfigurationError, match=r"credentials\.key") as caught:
        resolve("credentials.key", literal, {})

    assert CANARY not in str(caught.value)
    assert "env:NAME, file:PATH or keyring:SERVICE/NAME" in str(caught.value)


def test_a_secret_comes_from_the_environment_that_was_given():
    assert CANARY == resolve("k", "env:KEY", {"KEY": f" {CANARY}\n"}).reveal()
    with pytest.raises(ConfigurationError, match="KEY is not set"):
        resolve("k", "env:KEY", {})
    with pytest.raises(ConfigurationError, match="is empty"):
        resolve("k", "env:KEY", {"KEY": " \n"})


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610, 0o602])
def test_a_file_that_others_can_reach_is_refused(tmp_path, mode):
    path = tmp_path / "secret"
    path.write_text(CANARY)
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600") as caught:
        resolve("k", f"file:{path}", {})

    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_ones_own_is_read(tmp_path, mode):
    path = tmp_path / "secret"
    path.write_text(f"{CANARY}\n")
    path.chmod(mode)

    assert CANARY == resolve("k", f"file:{path}", {}).reveal()


def test_a_file_that_cannot_be_read_is_refused_without_its_content(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(b"\xff" + CANARY.encode())
    path.chmod(0o600)
    for target in (path, tmp_path / "gone", tmp_path):
        with pytest.raises(ConfigurationError, match="cannot be read") as caught:
            resolve("k", f"file:{target}", {})
        assert CANARY not in str(caught.value)
        assert caught.value.__cause__ is None


def test_a_keyring_is_asked_by_service_and_name(monkeypatch):
    asked = []
    fake = types.SimpleNamespace(get_password=lambda service, name: [asked.append((service, name)), {"here": CANARY}.get(name)][1])  # type: ignore[func-returns-value]
    monkeypatch.setitem(sys.modules, "keyring", fake)

    assert CANARY == resolve("k", "keyring:desk/here", {}).reveal()
    with pytest.raises(ConfigurationError, match="holds nothing"):
        resolve("k", "keyring:desk/gone", {})
    with pytest.raises(ConfigurationError, match="SERVICE/NAME"):
        resolve("k", "keyring:desk", {})
    assert [("desk", "here"), ("desk", "gone")] == asked


def test_without_the_package_a_keyring_reference_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigurationError, match="pip install keyring"):
        resolve("k", "keyring:desk/here", {})
