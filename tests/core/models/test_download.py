"""Downloads from a hub on loopback that drops, lies, changes and refuses: the right file comes, or a sentence."""

import errno
import hashlib
import shutil
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core import paths
from core.errors import Cancelled, UserError
from core.models import checksum, download, fetch
from core.models.download import Downloading
from core.models.files import ModelFile
from core.models.shelf import models_folder, shelf
from core.models.unfinished import Unfinished, discard, unfinished
from tests.core.models.hub_server import COMMIT, Hub, serving
from tests.data.gguf_tiny import write_tiny

SOURCE = "owner/name/sub/tiny.gguf"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of its own; no waits between tries."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setattr(paths, "data_folder", lambda: folder)
    monkeypatch.setattr(download, "WAITS", (0, 0, 0))
    monkeypatch.setattr(download, "TOLD", 0)
    monkeypatch.setattr(fetch, "CHUNK", 1 << 14)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_tiny(tmp_path_factory.mktemp("models") / "tiny.gguf").read_bytes()


@pytest.fixture
def hub(tiny: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving(Hub({"owner/name/sub/tiny.gguf": tiny})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def take(text: str = SOURCE, sha256: str = "") -> tuple[ModelFile, list[Downloading]]:
    """Downloads to the end."""
    *steps, model = download.download(text, sha256)
    assert isinstance(model, ModelFile)
    return model, [step for step in steps if isinstance(step, Downloading)]


def refusal(text: str = SOURCE, sha256: str = "") -> str:
    """The sentences with which a download ends."""
    with pytest.raises(UserError) as caught:
        take(text, sha256)
    assert str(caught.value).endswith(".")
    return str(caught.value)


def stop_midway(hub: Hub, text: str = SOURCE, sha256: str = "") -> int:
    """Begins a download and stops it after half of the file; gives the bytes that arrived."""
    hub.pause, halfway = threading.Event(), threading.Event()
    half = len(next(iter(hub.files.values()))) // 2
    steps = download.download(text, sha256, halfway.is_set)
    while not (isinstance(step := next(steps), Downloading) and step.done >= half):
        pass
    halfway.set()
    with pytest.raises(Cancelled):
        list(steps)
    hub.pause.set()
    hub.pause = None
    return half


def parts() -> list[Path]:
    return list(models_folder().rglob("*.part"))


def test_a_file_of_the_hub_arrives_checked_and_pinned(hub: Hub, tiny: bytes) -> None:
    model, steps = take()
    assert model.path == models_folder() / "tiny.gguf"
    assert model.path.read_bytes() == tiny
    assert steps[-1].checking
    assert max(step.done for step in steps) == len(tiny) == steps[-1].total
    assert [path for _, path, _ in hub.asked] == [
        "/owner/name/resolve/main/sub/tiny.gguf",
        f"/owner/name/resolve/{COMMIT}/sub/tiny.gguf",
    ]
    assert checksum.known(model.path) == hashlib.sha256(tiny).hexdigest()
    assert unfinished() == []
    assert list((models_folder() / ".downloads").iterdir()) == []
    assert [shelved.path for shelved in shelf()] == [paths.starter_model(), model.path]


def test_a_revision_and_pasted_addresses_are_understood(hub: Hub) -> None:
    for text, path in (
        ("owner/name/sub/tiny.gguf@refs/pr/1", "/owner/name/resolve/refs%2Fpr%2F1/sub/tiny.gguf"),
        (f"{hub.url}/owner/name/blob/v1/sub/tiny.gguf?download=true", "/owner/name/resolve/v1/sub/tiny.gguf"),
        ("https://huggingface.co/owner/name/resolve/v2/sub/tiny.gguf", "/owner/name/resolve/v2/sub/tiny.gguf"),
    ):
        hub.asked.clear()
        take(text)
        assert hub.asked[0][1] == path
        (models_folder() / "tiny.gguf").unlink()


def test_dropped_connections_are_taken_up_where_they_broke(hub: Hub, tiny: bytes) -> None:
    hub.drop_after = [10_000, 20_000, 1, 30_000]
    model, steps = take()
    assert model.path.read_bytes() == tiny
    assert [headers.get("range") for headers in hub.gets()] == [
        None, "bytes=10000-", "bytes=30000-", "bytes=30001-", "bytes=60001-",
    ]  # fmt: skip
    assert all("if-range" not in headers for headers in hub.gets())  # the checksum tells
    assert sum("broke off" in step.waiting for step in steps) == 4


@pytest.mark.parametrize("head", [True, False])
def test_a_plain_server_is_asked_for_the_rest_of_the_same_file_only(hub: Hub, tiny: bytes, head: bool) -> None:
    hub.drop_after, hub.checksums, hub.head, hub.files = [10_000, 20_000], False, head, {"tiny.gguf": tiny}
    assert take(f"{hub.url}/tiny.gguf")[0].path.read_bytes() == tiny
    assert [(headers.get("range"), headers.get("if-range")) for headers in hub.gets()] == [
        (None, None), ("bytes=10000-", '"one"'), ("bytes=30000-", '"one"'),
    ]  # fmt: skip


def test_a_given_checksum_does_not_make_a_cut_file_whole(hub: Hub, tiny: bytes) -> None:
    hub.drop_after, hub.checksums, hub.head, hub.files = [10_000], False, False, {"tiny.gguf": tiny}
    assert take(f"{hub.url}/tiny.gguf", hashlib.sha256(tiny).hexdigest())[0].path.read_bytes() == tiny


def test_a_mirror_that_says_nothing_of_the_file_but_where_it_lies(hub: Hub, tiny: bytes) -> None:
    with serving(Hub(hub.files, checksums=False)) as elsewhere:
        hub.checksums, hub.redirect = False, elsewhere.url
        assert take()[0].path.read_bytes() == tiny


def test_a_server_that_drops_everything_is_given_up_and_what_came_is_kept(hub: Hub) -> None:
    hub.drop_after = [1000] + [0] * 20
    assert "what has arrived is kept" in refusal()
    assert len(hub.gets()) == 1 + len(download.WAITS)
    assert unfinished()[0].done == 1000


def test_a_server_without_ranges_begins_anew(hub: Hub, tiny: bytes) -> None:
    hub.ranges, hub.drop_after = False, [10_000]
    assert take()[0].path.read_bytes() == tiny
    assert [headers.get("range") for headers in hub.gets()] == [None, "bytes=10000-"]


def test_a_stop_is_heard_while_the_server_is_silent_and_the_rest_comes_later(hub: Hub, tiny: bytes) -> None:
    half = stop_midway(hub)
    (left,) = unfinished()
    assert (left.text, left.name, left.done, left.total) == (SOURCE, "tiny.gguf", half, len(tiny))
    assert [shelved.path for shelved in shelf()] == [paths.starter_model()]
    hub.asked.clear()
    assert take(left.text)[0].path.read_bytes() == tiny
    assert [(method, headers["range"]) for method, _, headers in hub.asked] == [("GET", f"bytes={half}-")]


def test_an_interrupted_one_can_be_thrown_away(hub: Hub) -> None:
    stop_midway(hub)
    discard(unfinished()[0])
    assert unfinished() == parts() == []


def test_a_file_that_has_changed_meanwhile_is_taken_whole(hub: Hub, tiny: bytes, tmp_path: Path) -> None:
    other = write_tiny(tmp_path / "other.gguf", seed=1, width=128).read_bytes()
    hub.checksums = False
    address = f"{hub.url}/files/tiny.gguf"
    hub.files = {"files/tiny.gguf": tiny}
    stop_midway(hub, address)
    hub.files, hub.etag = {"files/tiny.gguf": other}, '"two"'
    assert take(address)[0].path.read_bytes() == other


def test_a_file_without_a_sign_of_its_state_is_never_put_together_from_two(hub: Hub, tiny: bytes) -> None:
    hub.checksums, hub.etag, hub.files = False, "", {"tiny.gguf": tiny}
    stop_midway(hub, f"{hub.url}/tiny.gguf")
    assert take(f"{hub.url}/tiny.gguf")[0].path.read_bytes() == tiny
    assert all("range" not in headers for headers in hub.gets())


def test_the_rest_of_another_file_is_not_taken(hub: Hub, tiny: bytes, tmp_path: Path) -> None:
    """A server that ignores If-Range and goes on with a longer file than before."""
    stop_midway(hub)
    hub.files = {"owner/name/sub/tiny.gguf": write_tiny(tmp_path / "o.gguf", width=128).read_bytes()}
    assert "longer than its server said" in refusal()
    hub.files = {"owner/name/sub/tiny.gguf": tiny}
    assert take()[0].path.read_bytes() == tiny


@pytest.mark.parametrize("more", [1000, -1000])
def test_a_wrong_length_is_noticed(hub: Hub, more: int) -> None:
    hub.announce, hub.checksums, hub.files = more, False, {"tiny.gguf": next(iter(hub.files.values()))}
    sentence = refusal(f"{hub.url}/tiny.gguf")
    assert "could not be downloaded" in sentence or "incomplete" in sentence
    assert not list(models_folder().glob("*.gguf"))


def test_a_plain_server_that_knows_no_head(hub: Hub, tiny: bytes) -> None:
    hub.head, hub.checksums, hub.files = False, False, {"a b/tiny.gguf": tiny, "a%20b/tiny.gguf": tiny}
    model, steps = take(f"{hub.url}/a b/tiny.gguf#readme", hashlib.sha256(tiny).hexdigest().upper())
    assert model.path.read_bytes() == tiny
    assert steps[-1].checking


def test_a_wrong_checksum_removes_the_file_with_a_sentence(hub: Hub, tiny: bytes) -> None:
    hub.checksums, hub.files = False, {"tiny.gguf": tiny}
    assert "should begin with aaaaaaaaaaaa. It was removed" in refusal(f"{hub.url}/tiny.gguf", "a" * 64)
    assert parts() == unfinished() == []
    assert take(f"{hub.url}/tiny.gguf")[0].path.read_bytes() == tiny


def test_a_mistaken_checksum_can_be_mended_when_it_goes_on(hub: Hub, tiny: bytes) -> None:
    hub.checksums, hub.files = False, {"tiny.gguf": tiny}
    address = f"{hub.url}/tiny.gguf"
    half = stop_midway(hub, address, "a" * 64)
    assert take(address, hashlib.sha256(tiny).hexdigest())[0].path.read_bytes() == tiny
    assert hub.gets()[-1]["range"] == f"bytes={half}-"


def test_a_checksum_that_was_given_is_not_forgotten_when_it_goes_on(hub: Hub, tiny: bytes) -> None:
    hub.checksums, hub.files = False, {"tiny.gguf": tiny}
    stop_midway(hub, f"{hub.url}/tiny.gguf", "a" * 64)
    assert "should begin with aaaaaaaaaaaa" in refusal(f"{hub.url}/tiny.gguf")


def test_damage_on_the_way_is_noticed_by_the_hubs_checksum(hub: Hub, tiny: bytes) -> None:
    half = stop_midway(hub)
    (part,) = parts()
    part.write_bytes(bytes(half))
    assert "It was removed" in refusal()
    assert take()[0].path.read_bytes() == tiny


def test_another_checksum_than_the_hubs_is_refused_before_anything_comes(hub: Hub) -> None:
    assert "as you gave it" in refusal(SOURCE, "b" * 64)
    assert hub.gets() == []


@pytest.mark.parametrize(
    ("status", "words"), [(401, "HF_TOKEN"), (403, "terms"), (404, "has no file"), (418, "HTTP status 418")]
)
def test_refusals_are_told(hub: Hub, status: int, words: str) -> None:
    hub.statuses = [(status, {})]
    assert words in refusal()
    assert len(hub.gets()) == 1


def test_a_file_that_is_not_there_leaves_nothing_behind(hub: Hub) -> None:
    assert "has no file “owner/name/none.gguf”" in refusal("owner/name/none.gguf")
    assert list((models_folder() / ".downloads").iterdir()) == []


def test_a_busy_server_is_waited_for(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now, time=time.time)
    clock.sleep = lambda seconds: setattr(clock, "now", clock.now + seconds)
    monkeypatch.setattr(download, "time", clock)
    monkeypatch.setattr(download, "TOLD", 1)
    hub.statuses = [(429, {"Retry-After": "7"}), (503, {}), (503, {"Retry-After": formatdate(time.time() - 60)})]
    assert [step.waiting[-3:] for step in take()[1] if step.waiting] == ["429", "503", "503"]
    assert clock.now == 7


def test_a_server_that_asks_for_an_hour_is_told_of(hub: Hub) -> None:
    hub.statuses = [(429, {"Retry-After": "3600"})]
    assert "60 minutes of patience" in refusal()
    hub.statuses = [(503, {"Retry-After": formatdate(time.time() + 7200)})]
    assert "120 minutes" in refusal() or "119 minutes" in refusal()


def test_the_token_goes_to_the_hub_alone(hub: Hub, tiny: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with serving(Hub(hub.files, checksums=False)) as elsewhere:
        hub.redirect = elsewhere.url
        assert take()[0].path.read_bytes() == tiny
        assert all(headers["authorization"] == "Bearer hf_secret" for _, _, headers in hub.asked)
        assert [method for method, _, _ in elsewhere.asked] == ["GET"]
        assert "authorization" not in elsewhere.gets()[0]
        elsewhere.files["other.gguf"] = write_tiny(models_folder() / "x.gguf", seed=2).read_bytes()
        take(f"{elsewhere.url}/other.gguf")
        assert "authorization" not in elsewhere.gets()[-1]


def test_the_token_survives_a_redirect_within_the_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.statuses = [(307, {"Location": "/owner/name/sub/tiny.gguf"})]
    take()
    assert [headers.get("authorization") for headers in hub.gets()] == ["Bearer hf_secret"] * 2


def test_a_repository_that_was_renamed_is_pinned_and_checked_too(hub: Hub, tiny: bytes) -> None:
    with serving(Hub(hub.files, checksums=False)) as elsewhere:
        hub.renamed, hub.redirect = {"before/name": "owner/name"}, elsewhere.url
        assert take("before/name/sub/tiny.gguf")[1][-1].checking
    assert [(method, path) for method, path, _ in hub.asked[:3]] == [
        ("HEAD", "/before/name/resolve/main/sub/tiny.gguf"),
        ("HEAD", "/owner/name/resolve/main/sub/tiny.gguf"),
        ("GET", f"/before/name/resolve/{COMMIT}/sub/tiny.gguf"),
    ]


def test_a_redirect_out_of_encryption_is_refused() -> None:
    import urllib.request

    request = urllib.request.Request("https://hub.example/x")
    for target in ("http://hub.example/x", "ftp://hub.example/x", "file:///etc/passwd"):
        with pytest.raises(UserError, match="not encrypted"):
            fetch._Redirects().redirect_request(request, None, 302, "", {}, target)


def test_all_parts_of_a_model_come(hub: Hub, tiny: bytes) -> None:
    hub.files = {f"owner/name/q/big-0000{n}-of-00002.gguf": content for n, content in ((1, tiny), (2, second_part()))}
    model, steps = take("owner/name/q/big-00002-of-00002.gguf")
    assert model.path.name == "big-00001-of-00002.gguf"
    assert [part.name for part in model.parts] == ["big-00001-of-00002.gguf", "big-00002-of-00002.gguf"]
    assert max(step.total for step in steps) == len(tiny) + len(second_part())
    assert {path.split("/")[4] for _, path, _ in hub.asked[1:]} == {COMMIT}


def second_part() -> bytes:
    """The second of two files of a model, without tensors."""
    from tests.core.models.test_gguf_header import entry, gguf_file

    return gguf_file(entry("split.no", 2, b"\1\0"), entry("split.count", 2, b"\2\0"))


def test_what_is_no_model_stays_out_of_the_models_folder(hub: Hub) -> None:
    hub.files = {"owner/name/sub/tiny.gguf": b"<html>Please log in</html>"}
    assert "downloaded and removed again: “tiny.gguf” is damaged or not a model" in refusal()
    assert [shelved.path for shelved in shelf()] == [paths.starter_model()]
    assert unfinished() == []


def test_another_file_of_that_name_is_never_written_over(hub: Hub, tiny: bytes) -> None:
    mine = models_folder() / "tiny.gguf"
    mine.write_bytes(bytes(len(tiny)))
    assert "may be another one" in refusal()
    assert mine.read_bytes() == bytes(len(tiny))
    mine.write_bytes(tiny)  # the very same: there is nothing to do
    hub.asked.clear()
    assert take()[0].path == mine
    assert hub.gets() == []


def test_the_disk_keeps_some_room(hub: Hub, tiny: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    free = SimpleNamespace(free=len(tiny) + download.KEPT_FREE - 1)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: free)
    assert "no room for “tiny.gguf”" in refusal()
    assert hub.gets() == []
    assert download.room() == len(tiny) - 1
    free.free += 1
    take()


def test_a_full_disk_is_told_and_what_arrived_is_kept(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download.os, "fsync", full)
    assert "cannot be written: No space left on device" in refusal()
    monkeypatch.undo()


def test_two_at_once_do_not_write_into_each_other(hub: Hub) -> None:
    hub.pause = threading.Event()
    first = download.download(SOURCE)
    while not (isinstance(step := next(first), Downloading) and step.done):
        pass
    assert "is being downloaded already" in refusal()
    with pytest.raises(UserError, match="downloaded already"):
        discard(unfinished()[0])
    hub.pause.set()
    assert isinstance(list(first)[-1], ModelFile)


@pytest.mark.parametrize(
    "text",
    ["", "qwen", "owner/name", "owner/name/file.bin", "../../etc/passwd.gguf", "a/b/../../c.gguf", "ftp://host/x.gguf",
     "https:///x.gguf", "https://user:secret@host/x.gguf", "https://host:99999/x.gguf", "http://[::1/x.gguf",
     "https://host/", "o/n/x-00009-of-00002.gguf", "o/n/x-00001-of-99999.gguf", "file:///etc/x.gguf"],
)  # fmt: skip
def test_what_cannot_be_downloaded_is_told(text: str) -> None:
    refusal(text)


@pytest.mark.parametrize(
    ("path", "name"),
    [("q/model.gguf", "model.gguf"), ("a%2F..%2Fb.gguf", "a_.._b.gguf"), ("CON.gguf", "_CON.gguf"),
     (".hidden.gguf", "hidden.gguf"), ('a:b?"c.gguf', "a_b__c.gguf"), ("x" * 300 + ".gguf", "x" * 195 + ".gguf")],
)  # fmt: skip
def test_names_are_fit_for_every_file_system(path: str, name: str) -> None:
    from core.models.sources import Source

    assert Source("", path, "owner/name", "main").name == name


def test_a_server_that_cannot_be_reached_is_told() -> None:
    with serving(Hub()) as hub:
        gone = hub.url
    assert "Check the connection" in refusal(f"{gone}/x.gguf")


def test_a_proxy_is_asked_where_the_system_names_one(hub: Hub, tiny: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", hub.url)
    monkeypatch.delenv("no_proxy")
    hub.files, hub.checksums = {"http://models.example/tiny.gguf": tiny}, False
    assert take("http://models.example/tiny.gguf")[0].path.read_bytes() == tiny


def test_certificates_are_checked(hub: Hub, tiny: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = write_certificate(tmp_path)
    with serving(Hub({"tiny.gguf": tiny}, checksums=False), certificate) as encrypted:
        assert "certificate is not trusted" in refusal(f"{encrypted.url}/tiny.gguf")
        fetch._certificates.cache_clear()
        monkeypatch.setattr(fetch.certifi, "where", lambda: str(certificate))
        assert take(f"{encrypted.url}/tiny.gguf")[0].path.read_bytes() == tiny
    fetch._certificates.cache_clear()


def write_certificate(folder: Path) -> Path:
    """A key and a certificate for loopback that it has signed itself, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    plain = serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.mark.parametrize("name", ["hub", "ftp://hub.example", "https://"])
def test_a_mirror_that_is_no_address_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", name)
    assert "HF_ENDPOINT" in refusal()


@pytest.mark.parametrize("host", ["x" * 70 + ".example", "a..b"])
def test_a_host_that_cannot_be_is_told(host: str) -> None:
    assert "could not be downloaded" in refusal(f"http://{host}/x.gguf")


def test_an_odd_record_is_no_obstacle(hub: Hub, tiny: bytes) -> None:
    stop_midway(hub)
    (record,) = models_folder().rglob("download.json")
    for odd in ("", "[]", '{"files": 7}', '{"files": [{"nothing": 1}]}'):
        record.write_text(odd)
        assert all(isinstance(item, Unfinished) for item in unfinished())
    assert take()[0].path.read_bytes() == tiny
    shutil.rmtree(models_folder())
