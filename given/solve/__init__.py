"""Which numerics? Ordinary differential equations, and how a law is drawn. There is no learning in here."""

from given.solve.how import How, Unchanged
from given.solve.ode import DormandPrince, Euler, Heun, RungeKutta, Solvable, Solver

__all__ = [
    "DormandPrince",
    "Euler",
    "Heun",
    "How",
    "RungeKutta",
    "Solvable",
    "Solver",
    "Unchanged",
]
