"""A walk from ``y = x * w`` to its gradient, through the inside of the house. Run it; the tests do."""
from __future__ import annotations

import adjoint as ad
from adjoint._runtime import plan_for
from adjoint._trace import local
from adjoint.passes import PASSES
from adjoint.plan.program import extract

# 1. A call records. Two variables enter the thread's trace as inputs, the product follows; nothing is computed.
x, w = ad.Variable(3.0), ad.Variable(2.0)
with ad.GradientTape() as tape:
    y = x * w
trace = local.trace
print("recorded:")
for node in trace.nodes():
    print("   ", node)

# 2. The same program again walks the same path: it ends at the same node object.
end = trace.node
float(y)                                                 # looking settles the trace; the thread starts a new one
with ad.GradientTape() as tape:
    y = x * w
assert local.trace is not trace
assert local.trace.node is end
print("the same program ends at the same node:", local.trace.node is end)

# 3. The gradient runs the derivative rule of multiply on tensors: more nodes on the same path.
grads = tape.gradient(y, [x, w])
trace = local.trace
print("with its gradient:")
for node in trace.nodes():
    print("   ", node)

# 4. What is wanted is extracted and rewritten by the passes.
wanted = tuple(g._idx for g in grads)
program = extract(trace.node, wanted)
print("extracted:", len(program.instrs), "operations")
for name, rewrite in PASSES:
    program = rewrite(program)
    print(f"    after {name}: {len(program.instrs)} operations")

# 5. A plan runs it; looking at the gradient does all this by itself.
print("plan:", plan_for(trace.node, wanted).run(trace.inputs))
print("dy/dx =", float(grads[0]), "and dy/dw =", float(grads[1]))
assert (float(grads[0]), float(grads[1])) == (2.0, 3.0)

# 6. Descent: the assignment is pending too, so forward, gradient and update are one plan.
with ad.GradientTape() as tape:
    loss = x * x
x.assign_sub(0.5 * tape.gradient(loss, x))
print("x after one step:", float(x))

# 7. A second derivative is the same thing on a longer path.
x.assign(1.0)
with ad.GradientTape() as outer:
    with ad.GradientTape() as inner:
        z = x * x * x
    first = inner.gradient(z, x)
print("d2(x**3)/dx2 at 1 =", float(outer.gradient(first, x)))
