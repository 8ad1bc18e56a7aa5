"""The regime of probes in words."""

import pytest

from lmrep.study.sources import Weights
from lmrep.study.spec import Probe, Stem
from lmrep.study.words import regime_words, regimes_text

VIT = Weights("vit", "vit", 768, 12, 12, label="ViT-B/16", patch=16, size=224)
STACK = Weights("smollm2", "transformers", 576, 30, label="SmolLM2", causal=True, bos=1)


def on_vit(label="GPT-2", first_token="class", options=None, **regime):
    plain = {"patch_convolution": True, "position_embedding": False}
    return Probe("p", label, Stem("vit", 224, 16, 768, VIT, plain | (options or {}), first_token), STACK, **regime)


def on_basis(label="SmolLM2", patch=12, first_token="none", basis="dct", **regime):
    return Probe("p", label, Stem("basis", 144, patch, 576, None, {"basis": basis}, first_token), STACK, **regime)


def test_the_articles_choices_are_not_worth_a_word():
    assert regime_words(on_vit()) == ()
    assert regimes_text([on_vit(), on_vit("ViT")]) == ""


@pytest.mark.parametrize(("probe", "words"), [
    (on_vit(first_token="bos"), "start token first"),
    (on_vit(first_token="none"), "no first token"),
    (on_vit(centre=True), "pixels centred"),
    (on_vit(scale="embeddings"), "tokens at the embeddings' RMS"),
    (on_vit(scale=1), "tokens at the embeddings' RMS"),
    (on_vit(scale=10), "tokens at 10 times the embeddings' RMS"),
    (on_vit(scale=0.5), "tokens at 0.5 times the embeddings' RMS"),
    (on_vit(causal="never"), "no causal mask"),
    (on_vit(stack_position=True), "the stack's position embeddings"),
    (on_vit(options={"position_embedding": True}), "the stem's position embeddings"),
    (on_vit(options={"patch_convolution": False}), "raw pixels as tokens"),
    (on_vit(first_token="bos", centre=True, scale="embeddings"),
     "tokens at the embeddings' RMS; pixels centred; start token first"),
    (on_basis(first_token="bos", centre=True, scale="embeddings"),
     "DCT basis of 12 px patches; tokens at the embeddings' RMS; pixels centred; start token first"),
    (on_basis(basis="random", patch=11),
     "random basis of 11 px patches; tokens not scaled; pixels not centred; no first token"),
])  # fmt: skip
def test_each_setting_has_its_words(probe, words):
    assert "; ".join(regime_words(probe)) == regimes_text([probe, probe]) == words


def test_what_probes_share_is_said_once():
    one, other = on_basis(scale="embeddings"), on_basis("MiniLM", 11, "bos", scale="embeddings")
    assert regimes_text([one, other, one]) == (
        "SmolLM2: DCT basis of 12 px patches; no first token. MiniLM: DCT basis of 11 px patches; start token first. "
        "Both: tokens at the embeddings' RMS; pixels not centred"
    )
    third = on_basis("Third", 10, scale="embeddings", centre=True)
    assert regimes_text([one, other, third]).endswith(". All: tokens at the embeddings' RMS")
    assert regimes_text([one, on_basis("MiniLM", scale="embeddings")]) == "; ".join(regime_words(one))


def test_probes_with_the_articles_choices_are_left_out():
    assert regimes_text([on_vit(), on_vit("no mask", causal="never")]) == "no mask: no causal mask"


def test_a_label_that_says_it_all_is_not_repeated():
    probes = [on_vit("start token first", first_token="bos"), on_vit("centred", centre=True)]
    assert regimes_text(probes) == "centred: pixels centred"
    assert regimes_text(probes[:1]) == "start token first"


def test_two_probes_of_one_label_are_both_named():
    found = regimes_text([on_vit(centre=True), on_vit(first_token="bos")])
    assert found == "GPT-2: pixels centred. GPT-2: start token first"
