"""Which numerics? Differential equations, ordinary and stochastic, and how a distribution is drawn. No learning in here."""

from given.solve.denoising import Ancestral, Denoising, DPMSolver, EulerMaruyama, Sampler
from given.solve.how import How, Identity, Watched
from given.solve.ode import DormandPrince, Euler, Heun, RungeKutta, Solvable, Solver
from given.solve.root import bisect

__all__ = [
    "Ancestral",
    "DPMSolver",
    "Denoising",
    "DormandPrince",
    "Euler",
    "EulerMaruyama",
    "Heun",
    "How",
    "Identity",
    "RungeKutta",
    "Sampler",
    "Solvable",
    "Solver",
    "Watched",
    "bisect",
]
