"""The article's own rules, from download to figures, against a hub and a photograph host on this machine."""

import io
import zipfile
from dataclasses import replace

import pytest
import tiny
from checkout import Checkout, planned, shorten
from hub import Hub
from pictures import sha256
from PIL import Image
from skimage import data

from lmrep.study.sources import Weights

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
        assert len(list((checkout / "figures").glob("*.png"))) == 9
        kept = {path.stem.rpartition("-")[0]: path for path in (checkout / "resources/weights").iterdir()}
        assert {name: path.read_bytes() for name, path in kept.items()} == bodies
        assert sha256(bodies["vit_large"]) in (checkout / "weights.lock.json").read_text()
        assert "Nothing to be done" in checkout.run("--cores", "2", "figures", **surroundings).stdout

        # A pin that is added reruns nothing; one that contradicts what was downloaded is refused.
        pin = sha256(bodies["vit_large"])
        checkout.edit("config.yaml", lambda config: config["weights"]["vit_large"].update(sha256=pin))
        done = checkout.run("-n", "--cores", "2", "figures", **surroundings)
        assert planned(done) == {"record_study": 1, "figures": 1}
        checkout.edit("config.yaml", lambda config: config["weights"]["vit_large"].update(sha256="0" * 64))
        done = checkout.run("-n", "--cores", "2", "figures", **surroundings)
        assert done.returncode == 1 and "Traceback" not in done.stdout
        assert done.stdout.splitlines()[-1].startswith("lmrep: weights.vit_large.sha256: expected 000")

        # Another mirror of the same bytes reruns nothing. A file with other bytes than its pin is not kept.
        mirror = {"repo": "a/mirror", "revision": "d" * 40, "sha256": pin}
        checkout.edit("config.yaml", lambda config: config["weights"]["vit_large"].update(mirror))
        done = checkout.run("-n", "--cores", "2", "figures", **surroundings)
        assert planned(done) == {"record_study": 1, "figures": 1}
        hub.add_model("a/mirror", "d" * 40, "model.safetensors", bodies["gpt2"])
        run = checkout / "results/article/runs/vit_large_match.safetensors"
        run.unlink()
        done = checkout.run("--cores", "2", str(run.relative_to(checkout.folder)), **surroundings)
        (line,) = {line for line in done.stdout.splitlines() if line.startswith("lmrep: weights.")}
        assert done.returncode == 1 and f"expected {pin}" in line
        assert len(list((checkout / "resources/weights").glob("vit_large-*"))) == 1
