"""What the pages of claims say around their tables: how a verdict is made, and what is not tested."""

from scipy.special import stdtrit

from lmrep.metrics.claims.claim import SHARE, SSIM
from lmrep.metrics.claims.inversion import WIDENING
from lmrep.metrics.claims.samples import SEARCHES
from lmrep.metrics.claims.statistics import CUTOFFS, DRAWS, FEWEST, LEVEL, UNCHANGED
from lmrep.metrics.claims.verdicts import CAUSES
from lmrep.study.kinds import OPTIMISERS

STAR = "*"  # beside a verdict that depends on something
TAIL = (1 - LEVEL) / 2  # of an interval

HEAD = """What the article "Language Model Representations and Features" says, in our words, and what was measured.
`holds`, `fails` and `open` follow rules in the code, which docs/claims.md lists."""

BEST = ", then ".join(
    f"the {label}" if label.endswith("descent") else label for label in (OPTIMISERS[name].label for name in SEARCHES)
)
VERDICTS = f"""
The article judges its pictures by eye. Every build of `evidence` tests the sentences below on each model: it says what
was measured and whether each sentence holds. The rules are in the code, in `lmrep/metrics/claims`, and no build
changes them. This page is written from that code and from `results/*/claims.json`: do not edit it.

## How a verdict is made

- A **rule** names a statistic, the blocks that it looks at, a side and a threshold. It holds if the {LEVEL:.0%}
  interval of the statistic lies on that side. It fails if the interval lies on the other side. It is open if the
  threshold lies inside the interval, or if nothing was measured.
- A sentence **holds** if all its rules hold, and **fails** if one of them fails. Otherwise it is **open**: the data do
  not say.
- A **gate** is a precondition. Where it does not hold, the sentence is open, whatever the other rules say.
- On this page, a **panel** is a neuron, a patch or a photograph, and an image is one panel from one seed. The
  **interval** comes from a bootstrap: {DRAWS} times, panels and seeds are drawn independently and with replacement
  (the pigeonhole bootstrap, Owen 2007). The panels of a seed share its untrained blocks and, with jitter, its crops.
  Elsewhere each has a start of its own, and to draw seeds too is cautious. With few panels and seeds, a bootstrap
  gives too small a variance. We therefore add the missing part, and use Student's t with Satterthwaite's degrees of
  freedom instead of the normal distribution (Hesterberg 2015). An interval that leaves the range of the statistic,
  such as an SSIM above 1, is cut to it. In simulations of 4 to 16 panels, the interval misses the truth in 4 to 6% of
  cases if panels are normal, in 6 to 11% if they are exponential, and in 11 to 17% if they are lognormal (`python
  benchmarks/told.py intervals`). If all images have the same value, such as a rank of 1, the interval has no width:
  look at how many images there are. Fewer than {FEWEST} images (panels times seeds) give no interval. With one seed,
  the interval covers the choice of neurons, patches or photographs, but not that of the start noise. A panel with
  fewer seeds counts as much as the others: the mean of its seeds replaces the missing ones.
- **Photographs are few**, four or six in these studies, so their intervals are wide. More photographs could decide
  more: a run with further `images` is pooled with the other runs of its probe. Four of the miniature's six photographs
  were training data of its ViTs, so its verdicts are not only about unseen pictures.
- **Untrained blocks are drawn once per run**, however many seeds it has: seeds vary only the start noise. Sentences
  {{untrained_deeper_holds_less}}, {{trained_holds_less}} and {{order_is_the_masks}} therefore rest on at most two draws
  of untrained blocks per model. Searches on untrained and on trained blocks may differ in length: 100 and 160 passes
  for SmolLM2; 160 and 360 in the miniature. Each SSIM is a lower bound. In the miniature, untrained blocks are close
  to the identity: libraries draw weights with a standard deviation of 0.02, which does little at a width of 108. The
  six untrained blocks of its GPT-2 change the tokens by 9% of their norm, the trained ones by 150%
  ([methods](methods.md#the-miniature-models)). So its verdicts on these three sentences compare trained blocks with
  blocks that do almost nothing, and say little about untrained blocks at full width.
- The **number** in the table is that of the rule that decided the verdict. If the rule looks at every block, it is the
  number of the block that did worst. Sentences with several rules count them from 1, without gates.
- **For contrast**, some sentences are tested on other models too, such as vision transformers where the article speaks
  of GPT-2. Such a verdict shows how the model differs; it does not judge the article.
- Some sentences compare a model **against** another: the widest other model of the required kind that has such runs.
- An **unfinished search** gives a lower bound on SSIM, so we widen its interval: by {WIDENING} times as much as SSIM
  rose in the last quarter of the passes, but at most to 1; and to 1 if the search ended further from its goal than the
  noisy photograph is. This leaves many sentences on how much a layer holds open. We let searches go on to 1000 to 3000
  passes ([unfinished](../benchmarks/unfinished.md)). From the starts of the studies and from a dark one, {WIDENING} was
  enough in 96 to 98% of the cases with the distance `l2`; we chose it by these. Later it was enough in all 48 cases
  with `pareto`. Some searches still rose when we stopped, so these shares are upper bounds. From a rough start it was
  enough in 70 to 81%. Searches on untrained blocks were not measured. Intervals of the article's own descent are not
  widened, because the article took its results as they were. Nor are those of ranks, of SSIM by row and of frequencies
  of errors.
- A search also **expects** something until it has converged: preconditioned L-BFGS expects smooth images. In
  `evidence`, other descents therefore repeat the inversions ([methods](methods.md#descents)): one from a dark start,
  one from a rough start, plain L-BFGS (no preconditioner, distance `l2`), and the study's own search with another
  distance (`l2`; in the miniature `pareto`). Outside the miniature, plain L-BFGS thus differs in two things, and the
  last one says whether the distance matters by itself. They have fewer blocks and photographs than the main way, and
  only the last one has untrained blocks too. The page of a study says what each of them makes of a verdict.
- The **main way** to test a model uses the probe that the figures show and features without blur and jitter. For
  photographs it uses the best search that the study has: {BEST}. If several runs fit, we use those with the start and
  the distance of the first one in the config and, for features, with as many steps.
- A verdict **depends on** the descent, the regime, the stem, the cutoff (of unchanged patches) or the measure if
  another choice gives a different verdict on the images and blocks that both choices have. It depends on the seed or
  the image if a single seed or image gives the opposite verdict. Blur and jitter, another number of steps, another
  start and another distance between outputs each count as another descent. For shares and spreads of the change of
  patches, the other measure is the squared change, or the change itself where the main way squares it. A square gives
  large changes more weight. For re-created images, it is the squared correlation of pixel values, with its sign,
  instead of SSIM. It is the share of the photograph's variance that the re-created image explains, whatever its
  brightness and contrast. The thresholds are the same, but the scale is not: near a perfect copy SSIM falls faster than
  the squared correlation, and a star may reflect only that. The page of a study has the numbers of all these ways. A
  verdict without a star need not be robust: the line above the table says how many were judged another way.
- **The regimes of the laptop study** were chosen by how well `chelsea` was re-created from trained blocks
  ([regime](../benchmarks/regime.md)), by plain L-BFGS, and `chelsea` is one of its four photographs.
- **Many questions** are asked at once, and the intervals in the tables are not corrected for that. A 95% interval
  misses the truth in one case of twenty, or more often (see above). So some verdicts are due to chance: take each as a
  lead, not as proof. The verdicts that change when this is corrected are [below](#how-firm-the-verdicts-are).

A rule looks at its statistic in blocks that the study's runs have: 7 of SmolLM2's 30 (4 of its untrained ones), and 4
of 6 where the features of the miniature are concerned. It looks

{{where}}

The change of a patch is the root mean square difference of its pixels from the start. Where a descent blurs or
enlarges its image, that start is blurred and enlarged too, since both change every patch without any gradient. A patch
is unchanged if it changes by less than {UNCHANGED} in its image; other cutoffs are
{CUTOFFS[0]}, {CUTOFFS[1]}, and {CUTOFFS[2]} in pixel values, whatever the largest change is.

## What we changed after seeing data

We wrote the rules before we knew most numbers, but some have changed since. The changes of 2026-11-28:

- Blur alone no longer counts as change. Since then, sentence {{start_matters_more_plain}} no longer holds for SmolLM2.
- Sentence {{order_is_the_masks}} is now judged in every block. As a mean it had held for SmolLM2, because blocks with
  opposite orders cancelled out. Its wording now follows the article, too.
- Sentence {{patch_reaches_both_sides}} asks for shares above {SHARE:g}. Before, it asked for shares above 0, which
  every model without a mask has.
- Sentence {{patch_reaches_back_only}} asks only whether something changes after the patch. It had also asked for a
  share before the patch, as sentence {{patch_looks_back}} does, and had failed for GPT-2 mini by that alone.
- Sentence {{early_is_recognisable}} asks whether the start noise would be recognised too. It had asked for an SSIM
  above that of flat grey instead, a threshold that a picture with much sky misses even when it is recognised, and had
  been open for all three language models.
- Sentences {{patterns_begin_first}} to {{start_matters_more_plain}}, {{own_share_falls}} and
  {{deeper_patch_is_broader}} are about language models with a mask, such as GPT-2. MiniLM is there for contrast only;
  five had failed for it, and two had held. Sentence {{patch_reaches_both_sides}}, a control of ours, counts for no
  model.
- We added photographs, because two left nearly every sentence on re-created images open. Adding data until a sentence
  is decided makes chance verdicts more likely.
- We added stars for another measure, because a darker start had shown that SSIM may follow the brightness of the start.

The changes of 2026-11-29:

- An unfinished search widens an interval by {WIDENING} times the rise in its last quarter. It had been that rise once,
  which was enough for 6% of the searches that we let go on.
- Photographs are re-created by preconditioned L-BFGS. Before, the search had no preconditioner and found much less in
  as many passes ([preconditioner](../benchmarks/preconditioner.md)). We chose the preconditioner before we knew what
  it does to the verdicts.
- The searches of the laptop study now lower the distance `pareto`. They lowered `l2`, in which a few large activations
  decide nearly alone ([distance](../benchmarks/distance.md)). We chose `pareto` by `chelsea` and `coffee`, two of the
  study's four photographs, before we looked at verdicts. Sentence {{deeper_holds_less}} had held for MiniLM and is now
  open, and {{one_block_keeps_most}} got a star for SmolLM2. We kept `l2` in the miniature after we had built it both
  ways and seen SSIM and verdicts. No verdict differed.
- The widening and the preconditioner together opened sentences {{untrained_deeper_holds_less}} for SmolLM2,
  {{trained_holds_less}} for MiniLM and for all models of the miniature, and {{deeper_holds_less}} for all models of the
  miniature: all of these had held. Sentence {{deeper_holds_less}} now holds for SmolLM2 and {{one_block_keeps_most}}
  for all three language models; they had been open.
- The study's search with another distance became a descent that a verdict may depend on. We knew by then which verdicts
  of the laptop study change with the distance.
- Sentence {{errors_are_of_high_frequency}} is judged by plain L-BFGS (no preconditioner, distance `l2`), because
  the preconditioner by itself leaves errors of high frequency for last.
- Sentence {{falls_not_along_a_line}} also asks whether the mean change falls, and weighs images alike. It had held for
  GPT-2 mini, where the change falls in the first rows alone, and one clipped picture of SmolLM2 had made most of the
  mean.
- Stars also tell of the square of changes and of an absolute cutoff.

Four things had changed before that day, and we kept no record of what they did to the verdicts: what counts as a
straight line in sentence {{falls_not_along_a_line}}, which blocks sentence {{trained_holds_less}} looks at, how wide
intervals are, and that a block decides instead of a mean. All thresholds are our judgement. A difference of less than
{SSIM:g} in SSIM, or {SHARE:g} in a share, counts as none. The verdicts with
other thresholds are [below](#how-firm-the-verdicts-are). We chose these other thresholds when we already knew the
verdicts, and changed two of them once more (for the gate at 2 and for shares at 0.5), which changed no count.
"""

MEANING = {  # of WHERE, where its words leave a question
    "every": "each must hold, and one that fails decides: of many blocks, one fails by chance more often",
    "early": "rounded up: blocks 1 to 3 of 12",
    "change": "the value of the last block minus that of the first",
}

KEY = (
    f"`{STAR}`: the verdict depends on the {CAUSES}; a seed or an image alone counts only if it gives the opposite "
    "verdict. `-`: not tested on this model. `(gate)`: the number is that of a precondition. In brackets: the sentence "
    "is not about this model, which is there for contrast."
)

ELSEWHERE = (
    "Intervals, values by block and figures are in `figures/<study>/claims.md`, or `figures/claims.md` of the article. "
    "All of it is in `results/<study>/claims.json`."
)

FIRM = f"""
## How firm the verdicts are

Each verdict is also made in three other ways:

- **smaller** and **larger**: with other thresholds in all rules and gates of the sentence at once. They are listed
  beside each rule above: half and twice the rule's own, or two that we chose where half and twice make no sense. A
  threshold of 0 has no other.
- **corrected**: with wider intervals, to allow for all questions that its study asks (Bonferroni's correction). In a
  study of N questions, a question that looks at k intervals takes each at a level of 1 - {1 - LEVEL:.2g} / (N k). All
  intervals of a study should then hold together at {LEVEL:.0%}. In the simulations above, with 36 questions per study,
  they do so in at least 91% of studies if panels are normal. With one seed and skewed panels they do not: in up to 69%
  of studies, some interval misses the truth.

At such levels, Satterthwaite's approximation misses too often. So panels and seeds each get
their own quantile of Student's t (Banerjee 1960). With two seeds, this quantile is {stdtrit(1, 1 - TAIL):.1f} at
{LEVEL:.0%} and {stdtrit(1, 1 - TAIL / 36):.0f} for 36 questions of one interval each. Hardly any verdict can then stay,
and one that becomes open says only that there are few seeds. The correction is stricter than necessary in
two more ways. A sentence that must hold in every block need not split the error between the blocks, and a verdict looks
at only one end of an interval.
"""

NOT_ASKED = """## What is not tested

- "Transformer-based vision models do not incorporate as much global information as MLP mixers or convolutional models":
  this needs mixers and convolutional models, which we do not load.
- "Deeper layers infer rather than select information": no number here distinguishes information that a layer kept from
  information that its training added.
- "Language is not translation invariant": this is about language and not about a model.
- "Each neuron forms a consistent pattern across the input" of a vision transformer: this is about how alike
  patches are, and the numbers here say only how much each one changes.
- "Also the case for out-of-distribution images": for each sentence on re-created images, the verdict of each image
  alone is listed. Whether errors are of high frequency is tested on whole images, not on their first rows.
- "As the patch number increases there is a smaller chance" that a token changes its own patch: no rule compares
  patches by their number.
- "The incorporation of more global information in deeper layers is also observed for vision models": we judge the
  article's language models; how vision transformers differ is in brackets, such as at {deeper_patch_is_broader}.
- "From the first patches to the last": patches are counted row by row, so no number here distinguishes an order from
  left to right from one from top to bottom."""
