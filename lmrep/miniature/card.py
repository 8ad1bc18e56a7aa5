"""The card that ships with the miniature models: data, recipe, final losses, hashes."""

from collections.abc import Mapping
from typing import Any

ABOUT = {
    "gpt2": "A causal language model on bytes: the text of Python's own `help()` topics (`pydoc_data.topics`).",
    "vit": "A classifier: which of scikit-image's photographs is a random crop from?",
}
INTRODUCTION = """\
# The miniature models

Three transformers that are small enough to ship. Their files have the formats of the real models (transformers'
GPT-2, timm's VisionTransformer), in half precision; a probe loads them as float32. They keep the proportions of the
article's models: width = 3 x patch^2 for the GPT-2 and the base ViT, 4/3 of that for the large ViT, and one head width
for all. They are for studying this project's method on a laptop, not for language or vision.

`snakemake --cores all train_miniature` trains them again by `recipe.yaml` and writes this card. Another machine may
round differently; then the hashes of the files change, and `miniature.yaml` needs the new ones. The figures'
targets, `chelsea` and the drawn Tesla coil, are not among the training photographs. Four other
targets, used only in `evidence`, are: `astronaut`, `camera`, `coffee` and `rocket`.
Weights: MIT, like the project. Photographs: from scikit-image, under the licences that it names.
"""


def model_card(recipe: Mapping[str, Any], cards: Mapping[str, Mapping[str, Any]]) -> str:
    """The card in Markdown. `cards`: by model name, the facts that `lmrep.miniature.train.train` returned."""
    parts = [INTRODUCTION]
    for name, spec in recipe["models"].items():
        parts.append(f"## {name}\n\n{ABOUT[spec['family']]}\n")
        rows = {**{key: value for key, value in spec.items() if key != "family"}, **cards[name]}
        parts.append("\n".join(["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows.items())]) + "\n")
    return "\n".join(parts)
