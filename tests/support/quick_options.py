"""What XLA leaves out under `--quick-compile`, where a program runs a few times on six steps."""

import jax

# Newer compilers cannot choose their fusion emitters any more, and end a process that tries to.
EMITTERS = jax.__version_info__ < (0, 11)
# The first two are JAX's own JAX_DISABLE_MOST_OPTIMIZATIONS; without the third the rest still takes twice as long.
QUICK = {
    "xla_backend_optimization_level": 0,
    "xla_llvm_disable_expensive_passes": True,
    **({"xla_cpu_use_fusion_emitters": False} if EMITTERS else {}),
}
USERS = {
    "xla_backend_optimization_level": 3,
    "xla_llvm_disable_expensive_passes": False,
    **({"xla_cpu_use_fusion_emitters": True} if EMITTERS else {}),
}
