"""The article's own rules, from download to figures, against a hub and a photograph host on this machine."""

import hashlib
import io
import zipfile
from dataclasses import replace

import pytest
import tiny
from checkout import Checkout, shorten
from hub import Hub
from PIL import Image
from skimage import data

from lmrep.study.spec import Weights

pytestmark = [pytest.mark.workflow, pytest.mark.build]
# The article's names and families, at a size that a test can fetch; its proportions kept.
SHAPES = {
    "gpt2": replace(tiny.GPT2, name="gpt2"),
    "vit_base": replace(tiny.VIT, name="vit_base"),
    "vit_large": replace(tiny.WIDE, name="vit_large"),
}


def write_model(name: str, weights: Weights, folder) -> bytes:
    path = folder / f"{name}.safetensors"
    (tiny.write_gpt2 if weights.family == "gpt2" else tiny.write_vit)(path, weights)
    return path.read_bytes()


def zip_of(member: str, photograph) -> tuple[bytes, bytes]:
    picture, archive = io.BytesIO(), io.BytesIO()
    Image.fromarray(photograph).save(picture, "JPEG")
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(member, picture.getvalue())
    return archive.getvalue(), picture.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def shrink(config: dict, bodies: dict[str, bytes], hub: Hub) -> None:
    """The article's config with the tiny files' shapes and hashes, their hosts, and few steps: nothing else."""
    for name, weights in SHAPES.items():
        entry = config["weights"][name]
        entry |= {key: getattr(weights, key) for key in ("width", "depth", "heads", "patch", "size") if key in entry}
        entry |= {"sha256": sha256(bodies[name])}
        entry.pop("bytes", None)
    del config["weights"]["vit_large"]["sha256"]  # recorded at its first download
    for name, photograph in (("dalmatian", data.astronaut()), ("tesla_coil", data.rocket())):
        entry = config["images"][name]
        archive, picture = zip_of(entry["member"], photograph)
        hub.add_file(f"/{name}.zip", archive)
        entry |= {"url": f"{hub.url}/{name}.zip", "sha256": sha256(archive), "member_sha256": sha256(picture)}
    for run in config["runs"].values():
        run["layers"] = [1, 2, 3] if run["layers"] != "all" else "all"
    for figure in config["figures"].values():
        figure.pop("layers", None)
    sizes = {224: 16, 560: 40, 600: 43}
    for descent in config["descents"].values():
        for octave in descent["octaves"]:
            octave["size"] = sizes[octave["size"]]
    config["threads"] = 1
    shorten(config)


def test_the_article_runs_from_download_to_figures(tmp_path):
    checkout = Checkout(tmp_path / "lmrep")
    with Hub() as hub:
        bodies = {}

        def change(config):
            for name, weights in SHAPES.items():
                bodies[name] = write_model(name, weights, tmp_path)
                pin = config["weights"][name]
                hub.add_model(pin["repo"], pin["revision"], pin["file"], bodies[name])
            shrink(config, bodies, hub)

        checkout.edit("config.yaml", change)
        surroundings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf")}
        done = checkout.run("--cores", "2", "figures", **surroundings)
        assert done.returncode == 0, done.stdout[-4000:]
        assert len(list((checkout / "figures").glob("*.png"))) == 8
        for name, body in bodies.items():
            assert (checkout / f"resources/weights/{name}.safetensors").read_bytes() == body
        assert sha256(bodies["vit_large"]) in (checkout / "weights.lock.json").read_text()
        assert "Nothing to be done" in checkout.run("--cores", "2", "figures", **surroundings).stdout

        # A file that the hub serves with other bytes is refused, and no later build takes it for good.
        (checkout / "resources/weights/gpt2.safetensors").unlink()
        checkout.edit("config.yaml", lambda config: config["weights"]["gpt2"].update(sha256="0" * 64))
        done = checkout.run("--cores", "2", "figures", **surroundings)
        assert done.returncode == 1
        assert "weights.gpt2: " in done.stdout and "0" * 64 in done.stdout
        assert not (checkout / "resources/weights/gpt2.safetensors").exists()


def test_a_repository_that_is_not_there_fails_in_one_line(tmp_path):
    checkout = Checkout(tmp_path / "lmrep")
    with Hub() as hub:
        done = checkout.run(
            "--cores", "1", "resources/weights/gpt2.safetensors", HF_ENDPOINT=hub.url, HF_HOME=str(tmp_path / "hf")
        )
    assert done.returncode == 1
    (line,) = {line for line in done.stdout.splitlines() if line.startswith("lmrep: weights.gpt2")}
    assert "openai-community/gpt2" in line
