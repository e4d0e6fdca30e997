"""Which numerics? Ordinary differential equations, and how a distribution is drawn. There is no learning in here."""

from given.solve.how import How, Identity, Watched
from given.solve.ode import DormandPrince, Euler, Heun, RungeKutta, Solvable, Solver

__all__ = [
    "DormandPrince",
    "Euler",
    "Heun",
    "How",
    "Identity",
    "RungeKutta",
    "Solvable",
    "Solver",
    "Watched",
]
