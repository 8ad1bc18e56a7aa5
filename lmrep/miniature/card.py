"""The card that ships with the miniature models: data, recipe, final losses, hashes."""

from collections.abc import Mapping

ABOUT = {
    "gpt2": "A causal language model on bytes: the text of Python's own `help()` topics (`pydoc_data.topics`).",
    "vit": "Tells which of scikit-image's photographs a random crop is from.",
}
INTRODUCTION = """\
# The miniature models

Three transformers small enough to ship, in the file formats of the real ones (transformers' GPT-2, timm's
VisionTransformer), in half precision; they are loaded as float32. They keep the proportions of the article's
models: width = 3 x patch^2 for the GPT-2 and the base ViT, 4/3 of that for the large one, heads of one width.
They are for studying this project's method on a laptop, not for language or vision.

`snakemake --cores all train_miniature` trains them again by `recipe.yaml` and writes this card; where that rounds
otherwise, the files' hashes change, and `miniature.yaml` is to be given the new ones. The target
images of the miniature study (`chelsea`, and the drawn Tesla coil) are not among the photographs.
Weights: MIT, as the project. Photographs: scikit-image's, under the licences that it names.
"""


def model_card(recipe: Mapping, cards: Mapping[str, Mapping]) -> str:
    """Markdown, from the recipe and from what each training measured (`miniature.train`), by model name."""
    parts = [INTRODUCTION]
    for name, spec in recipe["models"].items():
        parts.append(f"## {name}\n\n{ABOUT[spec['family']]}\n")
        rows = {**{key: value for key, value in spec.items() if key != "family"}, **cards[name]}
        parts.append("\n".join(["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows.items())]) + "\n")
    return "\n".join(parts)
