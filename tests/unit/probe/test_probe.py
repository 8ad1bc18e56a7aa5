"""The probe against the libraries whose models it takes apart."""

import weakref
from dataclasses import replace

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from lmrep.errors import InputError
from lmrep.probe.families import LAYOUTS
from lmrep.probe.loading import fresh_blocks, load_stack, trained_blocks
from lmrep.probe.probe import load_probe

pytestmark = pytest.mark.models
CPU = torch.device("cpu")


def images(count=3, size=16):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(3))


def vit_probe(files, **choices):
    spec = tiny.probe_of(tiny.VIT, tiny.VIT, "vit", **choices)
    return load_probe(spec, files, 3, CPU)


def test_gpt2_outputs_are_the_hidden_states_of_transformers_own_model(tiny_files, gpt2_probe):
    _, models = tiny_files
    model = models["tiny_gpt2"]
    pictures = images()
    tokens = gpt2_probe.stem(pictures)
    # transformers adds its position embedding to the embeddings that it is given: subtract it first.
    embeddings = tokens - model.wpe.weight[: tokens.shape[1]]
    theirs = model(inputs_embeds=embeddings, output_hidden_states=True, use_cache=False).hidden_states
    ours = gpt2_probe(pictures, [0, 1, 2])
    # Its last hidden state is after the final norm, which a probe leaves out.
    for layer in (0, 1, 2):
        torch.testing.assert_close(ours[layer], theirs[layer], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.ln_f(gpt2_probe(pictures, [3])[0]), theirs[3], rtol=1e-4, atol=1e-5)


def test_vit_outputs_are_those_of_timms_forward_intermediates(tiny_files):
    files, models = tiny_files
    probe = vit_probe(files, position_embedding=True)
    theirs = models["tiny_vit"].forward_intermediates(
        images(), return_prefix_tokens=True, output_fmt="NLC", intermediates_only=True
    )
    for ours, (patches, prefix) in zip(probe(images(), [1, 2, 3]), theirs, strict=True):
        torch.testing.assert_close(ours, torch.cat([prefix, patches], dim=1), rtol=1e-4, atol=1e-5)


def test_the_stem_is_the_convolution_of_timm(tiny_files, gpt2_probe):
    _, models = tiny_files
    theirs = models["tiny_vit"].patch_embed(images())
    torch.testing.assert_close(gpt2_probe.stem(images())[:, 1:], theirs, rtol=1e-4, atol=1e-5)


def test_parts_of_the_stem_can_be_left_out(tiny_files):
    files, models = tiny_files
    whole, bare = vit_probe(files), vit_probe(files, first_token="none")
    assert torch.equal(whole.stem(images())[:, 1:], bare.stem(images()))
    assert torch.equal(whole.stem(images())[:, :1], models["tiny_vit"].cls_token.expand(3, -1, -1))
    placed = vit_probe(files, position_embedding=True)
    torch.testing.assert_close(
        placed.stem(images()) - whole.stem(images()), models["tiny_vit"].pos_embed.expand(3, -1, -1)
    )
    raw = vit_probe(files, patch_convolution=False, first_token="none").stem(images())
    assert torch.equal(raw[1, 6], images()[1, :, 4:8, 8:12].flatten())  # row 1, column 2 of 4 x 4 patches


def test_an_image_alone_and_in_a_batch_give_one_output(gpt2_probe):
    together = gpt2_probe(images(), [3])[0]
    for index, picture in enumerate(images()):
        torch.testing.assert_close(gpt2_probe(picture[None], [3])[0][0], together[index], rtol=1e-4, atol=1e-5)


def test_images_that_leave_at_their_own_block_have_the_outputs_of_that_block(gpt2_probe):
    pictures = images(6).unflatten(0, (2, 3))
    first, third = gpt2_probe.outputs_of_own_layer(pictures, [1, 3])
    torch.testing.assert_close(first, gpt2_probe(pictures[0], [1])[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(third, gpt2_probe(pictures[1], [3])[0], rtol=1e-4, atol=1e-5)


def test_gpt2_cannot_look_ahead_and_a_vit_can(tiny_files, gpt2_probe):
    files, _ = tiny_files
    one = images(1)
    other = one.clone()
    other[..., 12:, 12:] += 0.3  # the last patch
    for probe in (gpt2_probe, gpt2_probe.in_precision(torch.float32), gpt2_probe.in_precision(torch.bfloat16)):
        ours, changed = (probe(x, [3])[0] for x in (one, other))
        assert torch.equal(ours[:, :-1], changed[:, :-1])
        assert not torch.equal(ours[:, -1], changed[:, -1])
    vit = vit_probe(files)
    assert (vit(one, [3])[0] - vit(other, [3])[0]).abs().amax(dim=(0, 2)).gt(0).all()


def test_a_conversion_that_keeps_nothing_frees_each_block_and_changes_no_output(tiny_files, gpt2_probe):
    files, _ = tiny_files
    once = load_probe(gpt2_probe.spec, files, 3, CPU)
    weights = [weakref.ref(block.fc1.weight) for block in once.blocks]
    quick = once.in_precision(torch.float32, keep=False)
    assert [weight() for weight in weights] == [None] * 3
    assert torch.equal(quick(images(1), [3])[0], gpt2_probe.in_precision(torch.float32)(images(1), [3])[0])


def test_without_its_mask_gpt2_looks_ahead_with_the_same_weights(tiny_files, gpt2_probe):
    files, _ = tiny_files
    spec = tiny.probe_of(tiny.VIT, tiny.GPT2, causal="never")
    bare = load_probe(spec, files, 3, CPU)
    assert spec.stack.causal and not spec.masked
    for ours, theirs in zip(bare.blocks.parameters(), gpt2_probe.blocks.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    one = images(1)
    other = one.clone()
    other[..., 12:, 12:] += 0.3  # the last patch
    assert (bare(one, [1])[0] - bare(other, [1])[0]).abs().amax(dim=(0, 2)).gt(0).all()
    # The last token saw all the others before, too.
    torch.testing.assert_close(bare(one, [1])[0][:, -1], gpt2_probe(one, [1])[0][:, -1], rtol=1e-4, atol=1e-5)


def test_layer_0_is_what_enters_the_first_block(gpt2_probe):
    pictures = images(4).unflatten(0, (2, 2))
    stem, second = gpt2_probe.outputs_of_own_layer(pictures, [0, 2])
    torch.testing.assert_close(stem, gpt2_probe.stem(pictures[0]))
    torch.testing.assert_close(second, gpt2_probe(pictures[1], [2])[0], rtol=1e-4, atol=1e-5)


def regime(files, **settings):
    spec = tiny.probe_of(tiny.VIT, replace(tiny.GPT2, bos=4), **settings)
    return load_probe(spec, files, 3, CPU)


def test_the_first_token_is_the_stems_the_models_or_none(tiny_files):
    files, models = tiny_files
    found = {first: regime(files, first_token=first) for first in ("class", "bos", "none")}
    tokens = {first: probe.tokens(images()) for first, probe in found.items()}
    assert torch.equal(tokens["class"][:, 0], models["tiny_vit"].cls_token[0].expand(3, -1))
    assert torch.equal(tokens["bos"][:, 0], models["tiny_gpt2"].wte.weight[4].expand(3, -1))
    assert torch.equal(tokens["none"], tokens["class"][:, 1:]) and torch.equal(tokens["bos"][:, 1:], tokens["none"])
    assert [probe.spec.stem.first_patch for probe in found.values()] == [1, 1, 0]
    assert [probe.spec.stem.tokens for probe in found.values()] == [17, 17, 16]


def test_centred_pixels_lose_the_share_of_a_half(tiny_files):
    files, _ = tiny_files
    assert torch.equal(regime(files, centre=True).tokens(images()), regime(files).tokens(images() - 0.5))


@pytest.mark.parametrize(("scale", "times"), [("embeddings", 1.0), (10, 10.0)])
@pytest.mark.parametrize("centre", [False, True])
def test_scaled_tokens_have_the_rms_of_the_models_embeddings(tiny_files, scale, times, centre):
    files, models = tiny_files
    noise = torch.rand(64, 3, 16, 16, generator=torch.Generator().manual_seed(9))
    tokens = regime(files, scale=scale, centre=centre).tokens(noise)[:, 1:]
    expected = times * models["tiny_gpt2"].wte.weight.square().mean().sqrt()
    assert tokens.square().mean().sqrt().item() == pytest.approx(expected.item(), rel=0.03)
    plain = regime(files, centre=centre).tokens(noise)[:, 1:]
    factors = tokens / plain
    torch.testing.assert_close(factors, factors.flatten()[0].expand_as(factors), rtol=1e-4, atol=0)  # one for all


def test_the_scale_is_of_patches_alone_and_by_root_mean_square(tiny_files, tmp_path):
    """A large class token does not count, and the mean of embeddings does."""
    files, _ = tiny_files
    stem, stack = (dict(load_file(files[name])) for name in ("tiny_vit", "tiny_gpt2"))
    stem["cls_token"] = stem["cls_token"] + 100
    stack["wte.weight"] = stack["wte.weight"] + 3
    own = {"tiny_vit": tmp_path / "stem.safetensors", "tiny_gpt2": tmp_path / "stack.safetensors"}
    for path, tensors in zip(own.values(), (stem, stack), strict=True):
        save_file(tensors, path)
    noise = torch.rand(64, 3, 16, 16, generator=torch.Generator().manual_seed(9))
    tokens = regime(own, scale="embeddings").tokens(noise)[:, 1:]
    assert tokens.square().mean().sqrt().item() == pytest.approx(
        stack["wte.weight"].square().mean().sqrt().item(), rel=0.03
    )


@pytest.mark.parametrize("first", ["bos", "none"])
def test_the_models_own_positions_are_added_at_last(tiny_files, first):
    files, models = tiny_files
    plain = regime(files, first_token=first, scale="embeddings")
    placed = regime(files, first_token=first, scale="embeddings", stack_position=True)
    count = placed.spec.stem.tokens
    expected = plain.tokens(images()) + models["tiny_gpt2"].wpe.weight[:count]
    torch.testing.assert_close(placed.tokens(images()), expected)
    assert torch.equal(placed.in_precision(torch.float32).tokens(images()), placed.tokens(images()))


def test_more_tokens_than_positions_are_refused(tiny_files, tmp_path):
    files, _ = tiny_files
    spec = tiny.probe_of({"basis": "dct", "patch": 4, "size": 36}, tiny.GPT2, stack_position=True)
    with pytest.raises(InputError, match=r"weights.tiny_gpt2: has 64 positions, but 'tiny' has 81 tokens"):
        load_probe(spec, files, 1, CPU)


def test_fresh_blocks_may_have_the_embeddings_of_the_trained_model(tiny_files):
    files, models = tiny_files
    spec = tiny.probe_of(tiny.VIT, replace(tiny.GPT2, bos=4), first_token="bos")
    fresh = load_probe(spec, files, 3, CPU, trained=False)
    assert torch.equal(fresh.tokens(images())[0, 0], models["tiny_gpt2"].wte.weight[4])
    run = tiny.tiny_run("match", ("a",), spec, weights="untrained")
    assert [weights.name for weights in run.weight_files] == ["tiny_gpt2", "tiny_vit"]


def test_a_bos_that_the_file_has_not_is_refused(tiny_files):
    files, _ = tiny_files
    spec = tiny.probe_of(tiny.VIT, replace(tiny.GPT2, bos=11), first_token="bos")
    with pytest.raises(InputError, match=r"weights.tiny_gpt2.bos: its model has tokens 0 to 10, not 11"):
        load_probe(spec, files, 1, CPU)


def test_only_the_blocks_asked_for_are_loaded(tiny_files):
    files, _ = tiny_files
    assert len(trained_blocks(tiny.GPT2, files["tiny_gpt2"], 2, True)) == 2


def test_a_checkpoint_of_the_causal_language_model_is_read_too(tiny_files, tmp_path, gpt2_probe):
    tiny.write_gpt2(tmp_path / "lm.safetensors", outer="transformer.")
    blocks = trained_blocks(tiny.GPT2, tmp_path / "lm.safetensors", 3, True)
    for ours, theirs in zip(blocks.parameters(), gpt2_probe.blocks.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_stack_without_the_file_that_it_reads_is_no_fresh_one(tiny_files):
    files, _ = tiny_files
    stem, plain = {"tiny_vit": files["tiny_vit"]}, tiny.probe_of(tiny.VIT, tiny.GPT2)
    scaled = tiny.probe_of(tiny.VIT, tiny.GPT2, scale="embeddings")
    for spec, trained in ((plain, True), (scaled, True), (scaled, False)):
        with pytest.raises(KeyError, match="tiny_gpt2"):
            load_probe(spec, stem, 3, CPU, trained=trained)
        with pytest.raises(ValueError, match="expected the weight file of 'tiny_gpt2'"):
            load_stack(spec, None, trained, 3, 0)


def test_untrained_blocks_come_from_their_seed_alone(tiny_files):
    files, _ = tiny_files
    spec = tiny.probe_of(tiny.VIT, tiny.GPT2)

    def outputs(seed, depth=3):
        return load_probe(spec, {"tiny_vit": files["tiny_vit"]}, depth, CPU, seed, trained=False)(images(), [2])[0]

    before = torch.random.get_rng_state()
    assert torch.equal(outputs(1), outputs(1, depth=2))
    assert not torch.equal(outputs(1), outputs(2))
    assert torch.equal(before, torch.random.get_rng_state())


def test_untrained_blocks_are_drawn_as_their_library_draws_them():
    from timm.models.vision_transformer import VisionTransformer
    from transformers import GPT2Config, GPT2Model

    gpt2 = replace(tiny.GPT2, width=96, depth=4)
    vit = replace(tiny.VIT, width=96, depth=4)
    config = GPT2Config(
        n_embd=96, n_layer=4, n_head=3, vocab_size=2, n_positions=2, bos_token_id=None, eos_token_id=None
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        timms = VisionTransformer(img_size=16, patch_size=4, embed_dim=96, depth=4, num_heads=3, num_classes=0)
        theirs = {gpt2: GPT2Model(config).h, vit: timms.blocks}
    for weights, blocks in theirs.items():
        state = blocks.state_dict()
        names = LAYOUTS[weights.family].names
        for name, ours in fresh_blocks(weights, 0, 4, True).state_dict().items():
            index, part, kind = name.split(".")
            tensor = state[f"{index}.{names[part]}.{kind}"]
            if part == "qkv":
                ours[:96] *= 32**0.5  # the scale of the scores
            # Not the standard deviation: now and then trunc_normal_ draws an infinity, and clamps it to 2.
            for share in (0.25, 0.5, 0.9):
                there = tensor.flatten().quantile(share).item()
                assert ours.flatten().quantile(share).item() == pytest.approx(there, rel=0.15, abs=1e-3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width": 96}, ["0.attn.c_attn.bias", "[144]", "[288]"]),
        ({"depth": 4}, ["3.attn", "missing"]),
    ],
)
def test_a_file_of_another_shape_is_refused_by_tensor(tiny_files, change, words):
    files, _ = tiny_files
    weights = replace(tiny.GPT2, **change)
    with pytest.raises(InputError) as error:
        trained_blocks(weights, files["tiny_gpt2"], weights.depth, True)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in ["weights.tiny_gpt2", *words])


def test_a_tensor_that_no_block_has_is_refused(tiny_files, tmp_path):
    files, _ = tiny_files
    state = load_file(files["tiny_gpt2"])
    save_file(state | {"h.0.attn.c_extra.weight": torch.zeros(2)}, tmp_path / "extra.safetensors")
    with pytest.raises(InputError, match=r"0.attn.c_extra.weight.*not expected"):
        trained_blocks(tiny.GPT2, tmp_path / "extra.safetensors", 3, True)


def test_a_file_that_is_no_safetensors_is_refused(tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"not a file of tensors")
    with pytest.raises(InputError, match="not a readable safetensors"):
        trained_blocks(tiny.GPT2, tmp_path / "bad.safetensors", 1, True)
