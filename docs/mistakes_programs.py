"""The programs of docs/mistakes.md: each mistake in adjoint, TensorFlow and PyTorch.

Where TensorFlow's is not given it is adjoint's, with tf for ad and without the last line, which only adjoint answers.
"""
from __future__ import annotations

from typing import NamedTuple


class Mistake(NamedTuple):
    chapter: str
    title: str
    adjoint: str
    torch: str
    tensorflow: str = ""


NONE, NAN, LOSS, TAPE = "A gradient of None", "NaN and infinity", "Likely mistakes", "Using a tape twice"

MISTAKES = [
    Mistake(NONE, "A tensor that nobody watches", """\
x = ad.constant(3.0)
with ad.GradientTape() as tape:
    y = x * x
print(tape.gradient(y, x))
print(tape.explain(y, x))
""", """\
x = torch.tensor(3.0)
y = x * x
y.backward()
print(x.grad)
"""),
    Mistake(NONE, "A variable that became a tensor", """\
w = ad.Variable(2.0)
for step in range(2):
    with ad.GradientTape() as tape:
        loss = w * w
    g = tape.gradient(loss, w)
    if g is not None:
        w = w - 0.1 * g
print(g)
print(tape.explain(loss, w))
""", """\
w = torch.tensor(2.0, requires_grad=True)
for step in range(2):
    loss = w * w
    loss.backward()
    if w.grad is not None:
        w = w - 0.1 * w.grad
print(w.grad)
"""),
    Mistake(NONE, "Computed before the tape", """\
w = ad.Variable(2.0)
h = w * w
with ad.GradientTape() as tape:
    y = 3.0 * h
print(tape.gradient(y, w))
print(tape.explain(y, w))
""", """\
w = torch.tensor(2.0, requires_grad=True)
with torch.no_grad():
    h = w * w
y = 3.0 * h
y.backward()
print(w.grad)
"""),
    Mistake(NONE, "Computed after the tape", """\
w = ad.Variable(2.0)
with ad.GradientTape() as tape:
    h = w * w
y = ad.exp(h)
print(tape.gradient(y, w))
print(tape.explain(y, w))
""", """\
w = torch.tensor(2.0, requires_grad=True)
h = w * w
with torch.no_grad():
    y = torch.exp(h)
y.backward()
print(w.grad)
"""),
    Mistake(NONE, "Computed, and looked at, before the tape", """\
w = ad.Variable(2.0)
h = w * w
print(float(h))
with ad.GradientTape() as tape:
    y = 3.0 * h
print(tape.explain(y, w))
""", """\
w = torch.tensor(2.0, requires_grad=True)
h = w * w
print(float(h))
y = 3.0 * h
y.backward()
print(w.grad)
""", """\
w = tf.Variable(2.0)
h = w * w
print(float(h))
with tf.GradientTape() as tape:
    y = 3.0 * h
print(tape.gradient(y, w))
"""),
    Mistake(NONE, "While the recording was stopped", """\
w = ad.Variable(2.0)
with ad.GradientTape() as tape:
    with tape.stop_recording():
        h = w * w
    y = 3.0 * h
print(tape.gradient(y, w))
print(tape.explain(y, w))
""", """\
w = torch.tensor(2.0, requires_grad=True)
with torch.inference_mode():
    h = w * w
y = 3.0 * h
y.backward()
print(w.grad)
"""),
    Mistake(NONE, "A tape used up inside of its block", """\
x = ad.Variable(3.0)
with ad.GradientTape() as tape:
    y = x * x
    dy = tape.gradient(y, x)
    z = dy * dy
    print(tape.explain(z, x))
""", """\
x = torch.tensor(3.0, requires_grad=True)
y = x * x
y.backward()
z = x.grad * x.grad
z.backward()
print(x.grad)
""", """\
x = tf.Variable(3.0)
with tf.GradientTape() as tape:
    y = x * x
    dy = tape.gradient(y, x)
    z = dy * dy
    print(tape.gradient(z, x))
"""),
    Mistake(NONE, "Through NumPy", """\
w = ad.Variable([1.0, 2.0])
with ad.GradientTape() as tape:
    p = np.exp(w.numpy())
    y = ad.sum(ad.constant(p))
print(tape.gradient(y, w))
print(tape.explain(y, w))
""", """\
w = torch.tensor([1.0, 2.0], requires_grad=True)
p = np.exp(w.numpy())
y = torch.sum(torch.tensor(p))
y.backward()
print(w.grad)
""", """\
w = tf.Variable([1.0, 2.0])
with tf.GradientTape() as tape:
    p = np.exp(w.numpy())
    y = tf.reduce_sum(tf.constant(p))
print(tape.gradient(y, w))
"""),
    Mistake(NONE, "Through float()", """\
w = ad.Variable(2.0)
with ad.GradientTape() as tape:
    rate = float(w * w)
    y = ad.constant(3.0) * rate
print(tape.gradient(y, w))
print(tape.explain(y, w))
""", """\
w = torch.tensor(2.0, requires_grad=True)
rate = float(w * w)
y = torch.tensor(3.0) * rate
y.backward()
print(w.grad)
"""),
    Mistake(NONE, "Through an integer", """\
x = ad.Variable([0.3, 1.7])
with ad.GradientTape() as tape:
    k = ad.cast(x, ad.int32)
    y = ad.sum(ad.cast(k, ad.float32))
print(tape.gradient(y, x))
print(tape.explain(y, x))
""", """\
x = torch.tensor([0.3, 1.7], requires_grad=True)
k = x.to(torch.int32)
y = torch.sum(k.to(torch.float32))
y.backward()
print(x.grad)
""", """\
x = tf.Variable([0.3, 1.7])
with tf.GradientTape() as tape:
    k = tf.cast(x, tf.int32)
    y = tf.reduce_sum(tf.cast(k, tf.float32))
print(tape.gradient(y, x))
"""),
    Mistake(NONE, "stop_gradient", """\
w = ad.Variable(2.0)
with ad.GradientTape() as tape:
    goal = ad.stop_gradient(w * w)
    y = 3.0 * goal
print(tape.gradient(y, w))
print(tape.explain(y, w))
""", """\
w = torch.tensor(2.0, requires_grad=True)
goal = (w * w).detach()
y = 3.0 * goal
y.backward()
print(w.grad)
"""),
    Mistake(NONE, "A derivative that is zero everywhere", """\
x = ad.Variable([0.3, 1.7])
with ad.GradientTape() as tape:
    y = ad.sum(ad.round(x))
print(tape.gradient(y, x))
print(tape.explain(y, x))
""", """\
x = torch.tensor([0.3, 1.7], requires_grad=True)
y = torch.sum(torch.round(x))
y.backward()
print(x.grad)
""", """\
x = tf.Variable([0.3, 1.7])
with tf.GradientTape() as tape:
    y = tf.reduce_sum(tf.round(x))
print(tape.gradient(y, x))
"""),
    Mistake(NONE, "Through an assignment", """\
v, w = ad.Variable(0.0), ad.Variable(2.0)
with ad.GradientTape() as tape:
    v.assign(w * w)
    y = 3.0 * v
print(tape.gradient(y, w))
print(tape.explain(y, w))
""", """\
v = torch.tensor(0.0, requires_grad=True)
w = torch.tensor(2.0, requires_grad=True)
v.data = w * w
y = 3.0 * v
y.backward()
print(w.grad)
"""),
    Mistake(NONE, "A name that was overwritten", """\
x = ad.constant([1.0, 2.0])
with ad.GradientTape() as tape:
    tape.watch(x)
    y = x * x
    x = x + 1.0
print(tape.gradient(y, x))
print(tape.explain(y, x))
""", """\
x = torch.tensor([1.0, 2.0], requires_grad=True)
y = torch.sum(x * x)
x = x + 1.0
y.backward()
print(x.grad)
"""),
    Mistake(NONE, "A second derivative of something linear", """\
x, w = ad.Variable(3.0), ad.Variable(1.0)
with ad.GradientTape() as outer:
    with ad.GradientTape() as inner:
        y = x * w
    dy_dw = inner.gradient(y, w)
print(outer.gradient(dy_dw, w))
print(outer.explain(dy_dw, w))
""", """\
x = torch.tensor(3.0, requires_grad=True)
w = torch.tensor(1.0, requires_grad=True)
y = x * w
dy_dw, = torch.autograd.grad(y, w, create_graph=True)
print(torch.autograd.grad(dy_dw, w))
"""),
    Mistake(NONE, "Really independent", """\
v, w = ad.Variable(1.0), ad.Variable(2.0)
with ad.GradientTape() as tape:
    y = w * w
print(tape.gradient(y, v))
print(tape.explain(y, v))
""", """\
v = torch.tensor(1.0, requires_grad=True)
w = torch.tensor(2.0, requires_grad=True)
y = w * w
print(torch.autograd.grad(y, v))
"""),
    Mistake(NONE, "An optimizer that gets None", """\
v, w = ad.Variable(1.0, name="v"), ad.Variable(2.0, name="w")
with ad.GradientTape() as tape:
    loss = w * ad.stop_gradient(v)
grads = tape.gradient(loss, [v])
ad.optim.SGD(0.1).apply(grads, [v])
""", """\
v = torch.tensor(1.0, requires_grad=True)
w = torch.tensor(2.0, requires_grad=True)
loss = w * v.detach()
loss.backward()
torch.optim.SGD([v], 0.1).step()
print(v)
""", """\
v, w = tf.Variable(1.0), tf.Variable(2.0)
with tf.GradientTape() as tape:
    loss = w * tf.stop_gradient(v)
grads = tape.gradient(loss, [v])
tf.keras.optimizers.SGD(0.1).apply_gradients(zip(grads, [v]))
"""),
    Mistake(NAN, "log of zero", """\
p = ad.Variable([1.0, 0.0])
with ad.anomaly():
    entropy = -ad.sum(p * ad.log(p))
    print(float(entropy))
""", """\
p = torch.tensor([1.0, 0.0], requires_grad=True)
with torch.autograd.detect_anomaly():
    entropy = -torch.sum(p * torch.log(p))
    print(float(entropy))
""", """\
p = tf.Variable([1.0, 0.0])
tf.debugging.enable_check_numerics()
entropy = -tf.reduce_sum(p * tf.math.log(p))
print(float(entropy))
"""),
    Mistake(NAN, "Zero by zero", """\
x = ad.Variable([0.0, 2.0])
with ad.GradientTape(persistent=True) as tape:
    y = ad.sum(x / ad.abs(x))
print(float(y))
print(tape.post_mortem(y))
""", """\
x = torch.tensor([0.0, 2.0], requires_grad=True)
with torch.autograd.detect_anomaly():
    y = torch.sum(x / torch.abs(x))
    print(float(y))
""", """\
x = tf.Variable([0.0, 2.0])
tf.debugging.enable_check_numerics()
y = tf.reduce_sum(x / tf.abs(x))
print(float(y))
"""),
    Mistake(NAN, "exp that overflows", """\
logits = ad.Variable([100.0, 1.0])
with ad.GradientTape(persistent=True) as tape:
    e = ad.exp(logits)
    p = e / ad.sum(e)
print(p.tolist())
print(tape.post_mortem(p))
""", """\
logits = torch.tensor([100.0, 1.0], requires_grad=True)
with torch.autograd.detect_anomaly():
    e = torch.exp(logits)
    p = e / torch.sum(e)
    print(p.tolist())
""", """\
logits = tf.Variable([100.0, 1.0])
tf.debugging.enable_check_numerics()
e = tf.exp(logits)
p = e / tf.reduce_sum(e)
print(p.numpy())
"""),
    Mistake(NAN, "sqrt at zero, backward", """\
x = ad.Variable([0.0, 4.0])
with ad.GradientTape() as tape:
    y = ad.sum(ad.sqrt(x))
with ad.anomaly():
    print(tape.gradient(y, x).tolist())
""", """\
x = torch.tensor([0.0, 4.0], requires_grad=True)
with torch.autograd.detect_anomaly():
    y = torch.sum(torch.sqrt(x))
    y.backward()
    print(x.grad.tolist())
""", """\
x = tf.Variable([0.0, 4.0])
tf.debugging.enable_check_numerics()
with tf.GradientTape() as tape:
    y = tf.reduce_sum(tf.sqrt(x))
print(tape.gradient(y, x).numpy())
"""),
    Mistake(NAN, "The branch that where does not take", """\
x = ad.Variable([0.0, 4.0])
with ad.GradientTape() as tape:
    y = ad.sum(ad.where(x > 0.0, ad.sqrt(x), 0.0))
print(tape.gradient(y, x).tolist())
""", """\
x = torch.tensor([0.0, 4.0], requires_grad=True)
y = torch.sum(torch.where(x > 0.0, torch.sqrt(x), 0.0))
y.backward()
print(x.grad.tolist())
""", """\
x = tf.Variable([0.0, 4.0])
with tf.GradientTape() as tape:
    y = tf.reduce_sum(tf.where(x > 0.0, tf.sqrt(x), 0.0))
print(tape.gradient(y, x).numpy().tolist())
"""),
    Mistake(NAN, "The norm at zero", """\
x = ad.Variable([0.0, 0.0])
with ad.GradientTape() as tape:
    y = ad.sqrt(ad.sum(x * x))
with ad.anomaly():
    print(tape.gradient(y, x).tolist())
""", """\
x = torch.tensor([0.0, 0.0], requires_grad=True)
with torch.autograd.detect_anomaly():
    y = torch.sqrt(torch.sum(x * x))
    y.backward()
    print(x.grad.tolist())
""", """\
x = tf.Variable([0.0, 0.0])
tf.debugging.enable_check_numerics()
with tf.GradientTape() as tape:
    y = tf.sqrt(tf.reduce_sum(x * x))
print(tape.gradient(y, x).numpy().tolist())
"""),
    Mistake(LOSS, "A softmax too many", """\
logits = ad.Variable([[2.0, 1.0, 0.0]])
with ad.GradientTape() as tape:
    p = ad.nn.softmax(logits)
    loss = ad.mean(ad.losses.categorical_crossentropy(ad.one_hot([0], 3), p, from_logits=True))
print(tape.advise(loss))
""", """\
logits = torch.tensor([[2.0, 1.0, 0.0]], requires_grad=True)
p = torch.softmax(logits, 1)
loss = torch.nn.functional.cross_entropy(p, torch.tensor([0]))
print(loss)
""", """\
logits = tf.Variable([[2.0, 1.0, 0.0]])
p = tf.nn.softmax(logits)
loss = tf.keras.losses.categorical_crossentropy(tf.one_hot([0], 3), p, from_logits=True)
print(loss)
"""),
    Mistake(LOSS, "Logits where probabilities belong", """\
w = ad.Variable([[2.0, -1.0, 0.5]])
with ad.GradientTape() as tape:
    out = ad.constant([[1.0]]) @ w
    loss = ad.mean(ad.losses.categorical_crossentropy(ad.one_hot([0], 3), out))
print(tape.advise(loss))
""", """\
w = torch.tensor([[2.0, -1.0, 0.5]], requires_grad=True)
out = torch.tensor([[1.0]]) @ w
loss = torch.nn.functional.nll_loss(out, torch.tensor([0]))
print(loss)
""", """\
w = tf.Variable([[2.0, -1.0, 0.5]])
out = tf.constant([[1.0]]) @ w
loss = tf.keras.losses.categorical_crossentropy(tf.one_hot([0], 3), out)
print(loss)
"""),
    Mistake(LOSS, "A loss that broadcasts", """\
w = ad.Variable([[0.5]])
x, labels = ad.constant([[1.0], [2.0], [3.0]]), ad.constant([1.0, 2.0, 3.0])
with ad.GradientTape() as tape:
    loss = ad.mean((x @ w - labels) ** 2)
print(tape.advise(loss))
""", """\
w = torch.tensor([[0.5]], requires_grad=True)
x, labels = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([1.0, 2.0, 3.0])
loss = torch.nn.functional.mse_loss(x @ w, labels)
print(loss)
""", """\
w = tf.Variable([[0.5]])
x, labels = tf.constant([[1.0], [2.0], [3.0]]), tf.constant([1.0, 2.0, 3.0])
with tf.GradientTape() as tape:
    loss = tf.reduce_mean((x @ w - labels) ** 2)
print(loss)
"""),
    Mistake(LOSS, "A variable that no gradient reaches", """\
model = {"w": ad.Variable([[0.5], [1.0]]), "b": ad.Variable([0.0]), "scale": ad.Variable(1.0)}
x, labels = ad.constant([[1.0, 2.0], [3.0, 4.0]]), ad.constant([[1.0], [2.0]])
with ad.GradientTape() as tape:
    out = x @ model["w"] + ad.stop_gradient(model["b"])
    loss = ad.mean((out - labels) ** 2)
print(tape.advise(loss))
""", """\
w = torch.tensor([[0.5], [1.0]], requires_grad=True)
b = torch.tensor([0.0], requires_grad=True)
scale = torch.tensor(1.0, requires_grad=True)
x, labels = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[1.0], [2.0]])
loss = torch.mean((x @ w + b.detach() - labels) ** 2)
loss.backward()
print(w.grad, b.grad, scale.grad)
""", """\
model = {"w": tf.Variable([[0.5], [1.0]]), "b": tf.Variable([0.0]), "scale": tf.Variable(1.0)}
x, labels = tf.constant([[1.0, 2.0], [3.0, 4.0]]), tf.constant([[1.0], [2.0]])
with tf.GradientTape() as tape:
    out = x @ model["w"] + tf.stop_gradient(model["b"])
    loss = tf.reduce_mean((out - labels) ** 2)
print(tape.gradient(loss, model))
"""),
    Mistake(LOSS, "A gradient that vanishes", """\
layers = [ad.Variable(np.full((4, 4), 0.25, "f")) for _ in range(8)]
h = ad.constant(np.ones((1, 4), "f"))
with ad.GradientTape() as tape:
    for k in range(8):
        h = ad.sigmoid(h @ layers[k])
    loss = ad.mean(h)
print(tape.advise(loss))
""", """\
layers = [torch.full((4, 4), 0.25, requires_grad=True) for _ in range(8)]
h = torch.ones((1, 4))
for k in range(8):
    h = torch.sigmoid(h @ layers[k])
torch.mean(h).backward()
print(layers[0].grad[0, 0])
""", """\
layers = [tf.Variable(tf.fill((4, 4), 0.25)) for _ in range(8)]
h = tf.ones((1, 4))
with tf.GradientTape() as tape:
    for k in range(8):
        h = tf.sigmoid(h @ layers[k])
    loss = tf.reduce_mean(h)
print(tape.gradient(loss, layers)[0][0, 0])
"""),
    Mistake(LOSS, "A gradient that explodes", """\
layers = [ad.Variable(np.full((4, 4), 3.0)) for _ in range(8)]
h = ad.constant(np.ones((1, 4)))
with ad.GradientTape() as tape:
    for k in range(8):
        h = ad.sin(h @ layers[k])
    loss = ad.mean(h)
print(tape.advise(loss))
""", """\
layers = [torch.full((4, 4), 3.0, dtype=torch.float64, requires_grad=True) for _ in range(8)]
h = torch.ones((1, 4), dtype=torch.float64)
for k in range(8):
    h = torch.sin(h @ layers[k])
torch.mean(h).backward()
print(layers[0].grad[0, 0])
""", """\
layers = [tf.Variable(tf.fill((4, 4), tf.constant(3.0, tf.float64))) for _ in range(8)]
h = tf.ones((1, 4), tf.float64)
with tf.GradientTape() as tape:
    for k in range(8):
        h = tf.sin(h @ layers[k])
    loss = tf.reduce_mean(h)
print(tape.gradient(loss, layers)[0][0, 0])
"""),
    Mistake(TAPE, "A second gradient of a single-use tape", """\
x = ad.Variable(3.0)
with ad.GradientTape() as tape:
    y = x * x
first = tape.gradient(y, x)
second = tape.gradient(y, x)
""", """\
x = torch.tensor(3.0, requires_grad=True)
y = x * x
y.backward()
y.backward()
""", """\
x = tf.Variable(3.0)
with tf.GradientTape() as tape:
    y = x * x
first = tape.gradient(y, x)
second = tape.gradient(y, x)
"""),
]
