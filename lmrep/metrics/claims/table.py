"""All claims, by name, in the order of their modules. A new module of claims is one of MODULES."""

from lmrep.metrics.claims import inversion, neurons, patches
from lmrep.metrics.claims.claim import ENTERED, Claim

MODULES = (neurons, patches, inversion)  # to import them is to enter their claims
CLAIMS: dict[str, Claim] = {
    name: claim for module in MODULES for name, claim in ENTERED.items() if claim.measure.__module__ == module.__name__
}
