"""What the pages of claims say around their tables: how a verdict is made, and what is not asked."""

from lmrep.metrics.claims.claim import SHARE, SSIM
from lmrep.metrics.claims.samples import SEARCHES
from lmrep.metrics.claims.statistics import CUTOFFS, DRAWS, FEWEST, LEVEL, UNCHANGED
from lmrep.metrics.claims.verdicts import CAUSES
from lmrep.study.kinds import OPTIMISERS

STAR = "*"  # beside a verdict that depends on something

HEAD = """What the article "Language Model Representations and Features" says, in our words, and what was measured.
`holds`, `fails` and `open` follow rules in the code, which docs/claims.md lists."""

BEST = ", then ".join(
    f"the {label}" if label.endswith("descent") else label for label in (OPTIMISERS[name].label for name in SEARCHES)
)
VERDICTS = f"""
The article reads its pictures by eye. Every build of `evidence` says for each sentence of it, and for each model, what
was measured and whether the sentence holds. The rules are in the code, in `lmrep/metrics/claims`, and a build does not
choose them. This page is written from that code and from `results/*/claims.json`: do not edit it.

## How a verdict is made

- A **rule** names a statistic, the blocks that it looks at, a side and a threshold. It holds if the {LEVEL:.0%}
  interval of the statistic lies on that side. It fails if the interval lies on the other side. It is open if the
  threshold lies inside the interval, or if nothing was measured.
- A sentence **holds** if all its rules hold, and **fails** if one of them fails. Otherwise it is **open**: the data do
  not say.
- A **gate** is a precondition. Where it does not hold, the sentence is open, whatever the other rules say.
- A **panel** is here a neuron, a patch or a photograph, and an image is one panel from one seed. The **interval** comes
  from a bootstrap: {DRAWS} times, panels and seeds are drawn independently and with replacement (the pigeonhole
  bootstrap, Owen 2007). With few panels and seeds, a bootstrap gives too small a variance. We therefore add the missing
  part, and use Student's t with Satterthwaite's degrees of freedom in place of the normal distribution (Hesterberg
  2015). Ends beyond what a statistic can be, such as an SSIM above 1, are cut. In simulations of 4 to 16 panels, it
  misses the truth in 4 to 6% of cases if panels are normal, in 6 to 11% if they are exponential, and in 11 to 17% if
  they are lognormal (`python benchmarks/told.py intervals`). Images that all have the same value, such as a rank of 1,
  give an interval of no width: see how many images there are. Fewer than {FEWEST} images (panels times seeds) give no
  interval. With one seed, the interval describes neurons, patches or photographs only, not other starts. A panel with
  fewer seeds counts as much as the others: the mean of its seeds stands for those it lacks.
- **Photographs are few**, four or six in these studies, so their intervals are wide. More photographs could decide
  more: a run with further `images` counts with the others of its probe. Four of the miniature's six photographs were
  training data of its ViTs, so its verdicts are not only about unseen pictures.
- **Untrained blocks are drawn once a run**, whatever its seeds: these vary the start noise only. Sentences
  {{untrained_deeper_holds_less}}, {{trained_holds_less}} and {{order_is_the_masks}} therefore rest on at most two draws
  of untrained blocks per model. Searches on untrained and on trained blocks may differ in length: 100 and 160 passes
  for SmolLM2; 160 (50 for ViT-L mini) and 360 in the miniature. Each SSIM is a lower bound. In the miniature, untrained
  blocks are close to the identity: libraries draw weights with a standard deviation of 0.02, which does little at a
  width of 108. The six untrained blocks of its GPT-2 change the tokens by 9% of their norm, the trained ones by 150%
  ([methods](methods.md#the-miniature-models)). So its verdicts on these three sentences compare training with almost
  nothing, and say little of untrained blocks at full width.
- The **number** in the table is that of the rule that decided the verdict. If the rule looks at every block, it is the
  number of the block that did worst. Sentences with several rules count them from 1, without gates.
- **For contrast**, some sentences are asked of other models too, such as vision transformers where the article speaks
  of GPT-2. Such a verdict shows how the model differs; it does not judge the article.
- Some sentences compare a model **against** another: the widest other model of the required kind that has such runs.
- An **unfinished search** gives a lower bound of SSIM. Its interval is made wider: by as much as SSIM rose in the last
  quarter of the passes, or up to 1 if the search ended further from its goal than the photograph with noise. This
  leaves more sentences open. It is an estimate: a slow search may rise further than that. The article's own descent is
  read as it is, as the article did. Ranks, SSIM by row and frequencies of errors are taken as the search left them,
  converged or not.
- The **main way** to ask a model is its probe as the figures have it, features without blur and jitter, and photographs
  by the best search that the study has: {BEST}. If several runs fit, we use those with the same start as the first one
  in the config and, for features, the same number of steps.
- A verdict **depends on** the descent, the regime, the stem, the cutoff (of unchanged patches) or the measure if
  another one gives a different verdict on the images and blocks that both have; on the seed or the image, if one of
  them alone gives the opposite verdict. Blur and jitter, another number of steps, and another start each count as
  another descent. The other measure is the squared correlation of pixel values, with its sign, in place of SSIM. It is
  the share of the photograph's variance that the re-created image explains, whatever its brightness and contrast. The
  thresholds are the same, but the scale is not: near a perfect copy SSIM falls faster than the squared correlation, and
  a star may reflect only that. The page of a study has the numbers of all these ways. A verdict without a star need not
  be robust: the line above the table says how many were judged another way.
- **The regimes of the laptop study** were chosen by how well `chelsea` was re-created from trained blocks
  ([regime](../benchmarks/regime.md)), and `chelsea` is one of its four photographs.
- **Many questions** are asked at once, and the intervals in the tables are not corrected for that. A 95% interval
  misses the truth in one case of twenty, or more often (see above). So some verdicts are chance, and each is a lead,
  not a test. [Below](#how-firm-the-verdicts-are) are those that do not stay when this is corrected.

A rule looks at its statistic

{{where}}

The change of a patch is the root mean square difference of its pixels from the start. Where a descent blurs or grows
its image, the start has gone through the same blur and growth, which change every patch without any gradient. A patch
is unchanged if it changes by less than {UNCHANGED:g} of the largest change in its image; other cutoffs are
{" and ".join(f"{cutoff:g}" for cutoff in CUTOFFS)}.

## What was changed after a look at data

The rules were written before most numbers were known, but not all of them stayed. The changes of 2026-11-28:

- Blur alone counted as change. Without it, sentence {{start_matters_more_plain}} no longer held for SmolLM2.
- Sentence {{order_is_the_masks}} is judged in every block. As a mean it had held for SmolLM2, because blocks with
  opposite orders cancelled out. Its words now follow the article, too.
- Sentence {{patch_reaches_both_sides}} asks for shares above {SHARE:g}. It had asked for shares above 0, which every
  model without a mask passes.
- Sentence {{patch_reaches_back_only}} asks only whether something changes after the patch. It had also asked for a
  share before the patch, as sentence {{patch_looks_back}} does, and had failed for GPT-2 mini by that alone.
- Sentence {{early_is_recognisable}} asks whether the start noise would be recognised too. It had asked for an SSIM
  above that of flat grey instead, a threshold that a picture with much sky misses even when it is recognised, and had
  been open for all three language models.
- Sentences {{patterns_begin_first}} to {{start_matters_more_plain}}, {{own_share_falls}} and
  {{deeper_patch_is_broader}} are about language models with a mask, such as GPT-2. MiniLM is asked for contrast only;
  five had failed for it, and two had held. Sentence {{patch_reaches_both_sides}}, a control of ours, counts for no
  model.
- More photographs, because two had left open nearly all that was asked of re-created images. To add data until a
  sentence is decided makes chance verdicts likelier.
- Stars for another measure, since a darker start had shown that SSIM may follow the brightness of the start.

Four things had changed before that day, and we kept no record of what that did to the verdicts: what counts as a
straight line in sentence {{falls_not_along_a_line}}, the blocks of sentence {{trained_holds_less}}, wider intervals,
and the block that decides in place of a mean. All thresholds are our judgement. {SSIM:g} of SSIM and {SHARE:g} of a
share stand for the smallest difference that we count. [Below](#how-firm-the-verdicts-are) is what other thresholds
would say. Those were chosen when the verdicts were known, and two of them (of the gate at 2 and of shares at 0.5) were
changed once more; no count changed by that.
"""

MEANING = {  # of WHERE, where its words leave a question
    "every": "each must hold, and one that fails decides",
    "early": "rounded up: blocks 1 to 3 of 12",
    "change": "the value of the last block minus that of the first",
}

KEY = (
    f"`{STAR}`: the verdict depends on the {CAUSES}; a seed or an image alone counts only if it gives the opposite "
    "verdict. `-`: not asked of this model. `(gate)`: the number is that of a precondition. In brackets: the sentence "
    "is not about this model, which is there for contrast."
)

ELSEWHERE = (
    "Intervals, values by block and figures are in `figures/<study>/claims.md`, or `figures/claims.md` of the article. "
    "All of it is in `results/<study>/claims.json`."
)

FIRM = f"""
## How firm the verdicts are

All thresholds are our judgement, and many questions are asked at once. So each verdict is made three times more:

- **smaller** and **larger**: with other thresholds in all its rules and gates at once. They stand beside each rule
  above: half and twice its own, or two that we name where half and twice make no sense. A threshold of 0 has no other.
- **corrected**: with wider intervals, for all questions that its study asks. The correction is Bonferroni's. Of N
  questions, one that looks at k intervals takes each at a level of 1 - {1 - LEVEL:.2g} / (N k). So all intervals of a
  study should hold together at {LEVEL:.0%}. In the same simulations, with 36 questions a study, they do so in 91% of
  studies or more if panels are normal. With one seed and skewed panels they do not: up to 69% of studies have an
  interval that misses.

At such levels, Satterthwaite's approximation misses too often. So panels and seeds each get their own quantile of
Student's t (Banerjee 1960). With two seeds, that widens an interval up to thousands of times, and hardly any verdict
could stay. An open one then says only that seeds are few. The correction is stricter than it need be in two more ways.
A sentence that holds in every block needs no share for each, and a verdict looks at one end of an interval only.
"""

NOT_ASKED = """## What is not asked

- "Transformer-based vision models do not incorporate as much global information as MLP mixers or convolutional models":
  this needs mixers and convolutional models, which we do not load.
- "Deeper layers infer rather than select information": no number here tells information that a layer kept from
  information that its training added.
- "Language is not translation invariant": this is about language and not about a model.
- "Each neuron forms a consistent pattern across the input" of a vision transformer: this needs the likeness of patches,
  and the numbers here are of how much each changes.
- "Also the case for out-of-distribution images": each sentence on re-created images names the verdict of each image
  alone. That the errors are of high frequency is asked of whole images and not of their first rows."""
