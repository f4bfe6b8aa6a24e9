"""Programs as people write them with TensorFlow, from top to bottom, each with a figure to reach."""
from __future__ import annotations

import numpy as np
import pytest

import adjoint.tensorflow as tf
from adjoint.tensorflow import keras


def test_linear_regression() -> None:
    TRUE_W, TRUE_B = 3.0, 2.0
    tf.random.set_seed(7)
    x = tf.random.normal(shape=[1000])
    noise = tf.random.normal(shape=[1000])
    y = x * TRUE_W + TRUE_B + 0.1 * noise

    class MyModel(tf.Module):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.w = tf.Variable(5.0)
            self.b = tf.Variable(0.0)

        def __call__(self, x):
            return self.w * x + self.b

    def loss(target_y, predicted_y):
        return tf.reduce_mean(tf.square(target_y - predicted_y))

    def train(model, x, y, learning_rate):
        with tf.GradientTape() as t:
            current_loss = loss(y, model(x))
        dw, db = t.gradient(current_loss, [model.w, model.b])
        model.w.assign_sub(learning_rate * dw)
        model.b.assign_sub(learning_rate * db)

    model = MyModel()
    history = []
    for _epoch in range(60):
        train(model, x, y, learning_rate=0.1)
        history.append((model.w.numpy(), model.b.numpy(), loss(y, model(x)).numpy()))
    a, b = np.polyfit(x.numpy().astype(float), y.numpy().astype(float), 1)
    assert history[-1][0] == pytest.approx(a, abs=1e-4)
    assert history[-1][1] == pytest.approx(b, abs=1e-4)
    assert history[0][2] > 1 > 0.02 > history[-1][2]
    assert len(model.trainable_variables) == 2


def test_handwritten_digits_with_a_two_layer_network() -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    x_all = tf.cast(digits.data / 16.0, tf.float32)
    y_all = tf.cast(digits.target, tf.int32)
    x_train, y_train, x_test, y_test = x_all[:1400], y_all[:1400], x_all[1400:], y_all[1400:]
    y_onehot = tf.one_hot(y_train, depth=10)

    w1 = tf.Variable(tf.random.truncated_normal([64, 48], stddev=0.1, seed=1))
    b1 = tf.Variable(tf.zeros([48]))
    w2 = tf.Variable(tf.random.truncated_normal([48, 10], stddev=0.1, seed=2))
    b2 = tf.Variable(tf.zeros([10]))
    lr = 0.5
    batch = 140
    for _epoch in range(25):
        for step in range(10):
            x, y = x_train[step * batch:(step + 1) * batch], y_onehot[step * batch:(step + 1) * batch]
            with tf.GradientTape() as tape:
                h1 = tf.nn.relu(x @ w1 + tf.broadcast_to(b1, [x.shape[0], 48]))
                out = h1 @ w2 + b2
                loss = tf.reduce_mean(tf.losses.categorical_crossentropy(y, out, from_logits=True))
            grads = tape.gradient(loss, [w1, b1, w2, b2])
            w1.assign_sub(lr * grads[0])
            b1.assign_sub(lr * grads[1])
            w2.assign_sub(lr * grads[2])
            b2.assign_sub(lr * grads[3])
    prob = tf.nn.softmax(tf.nn.relu(x_test @ w1 + b1) @ w2 + b2, axis=1)
    pred = tf.cast(tf.argmax(prob, axis=1), dtype=tf.int32)
    correct = tf.reduce_sum(tf.cast(tf.equal(pred, y_test), dtype=tf.int32))
    assert int(correct) / x_test.shape[0] > 0.88
    assert float(loss) < 0.1


def test_custom_training_loop_with_a_compiled_step() -> None:
    rng = np.random.default_rng(0)
    xs = rng.normal(size=(600, 2)).astype("float32")
    ys = (xs[:, 0] * xs[:, 1] > 0).astype("int32")

    class Dense(tf.Module):
        def __init__(self, in_features, out_features, activation=None, name=None):
            super().__init__(name=name)
            self.w = tf.Variable(keras.initializers.GlorotUniform(seed=in_features)([in_features, out_features]), name="w")
            self.b = tf.Variable(tf.zeros([out_features]), name="b")
            self.activation = keras.activations.get(activation)

        def __call__(self, x):
            return self.activation(tf.matmul(x, self.w) + self.b)

    class MLP(tf.Module):
        def __init__(self):
            super().__init__()
            self.layers = [Dense(2, 32, "tanh"), Dense(32, 32, "tanh"), Dense(32, 2)]

        @tf.function
        def __call__(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    model = MLP()
    optimizer = tf.keras.optimizers.Adam(learning_rate=0.01)
    loss_fn = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    train_acc = tf.keras.metrics.SparseCategoricalAccuracy()
    traces = []

    @tf.function
    def train_step(x, y):
        traces.append(1)
        with tf.GradientTape() as tape:
            logits = model(x)
            loss = loss_fn(y, logits)
        grads = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(grads, model.trainable_variables))
        return loss, logits

    for epoch in range(30):
        train_acc.reset_state()
        for k in range(0, 600, 100):
            x, y = tf.constant(xs[k:k + 100]), tf.constant(ys[k:k + 100])
            loss, logits = train_step(x, y)
            train_acc.update_state(y, logits)
        if epoch == 0:
            first = float(loss)
    assert float(train_acc.result()) > 0.97
    assert float(loss) < 0.3 * first
    assert int(optimizer.iterations.numpy()) == 180
    assert len(model.trainable_variables) == 6
    assert len(model.submodules) == 3
    assert len(traces) <= 2


def test_two_networks_against_each_other() -> None:
    tf.random.set_seed(3)
    cross_entropy = tf.keras.losses.BinaryCrossentropy(from_logits=True)

    class Net(tf.Module):
        def __init__(self, n_in, n_hidden, n_out, seed):
            super().__init__()
            init = tf.initializers.RandomNormal(stddev=0.3, seed=seed)
            self.w1, self.b1 = tf.Variable(init([n_in, n_hidden])), tf.Variable(tf.zeros([n_hidden]))
            self.w2, self.b2 = tf.Variable(init([n_hidden, n_out])), tf.Variable(tf.zeros([n_out]))

        def __call__(self, x):
            h = tf.nn.leaky_relu(tf.matmul(x, self.w1) + self.b1)
            return tf.matmul(h, self.w2) + self.b2

    generator, discriminator = Net(1, 16, 1, 1), Net(1, 16, 1, 2)
    generator_optimizer = tf.keras.optimizers.Adam(5e-3, beta_1=0.5)
    discriminator_optimizer = tf.keras.optimizers.Adam(5e-3, beta_1=0.5)

    @tf.function
    def train_step(real):
        noise = tf.random.normal([tf.shape(real)[0], 1])
        with tf.GradientTape() as gen_tape, tf.GradientTape() as disc_tape:
            fake = generator(noise)
            real_output, fake_output = discriminator(real), discriminator(fake)
            gen_loss = cross_entropy(tf.ones_like(fake_output), fake_output)
            disc_loss = cross_entropy(tf.ones_like(real_output), real_output) + cross_entropy(
                tf.zeros_like(fake_output), fake_output)
        gen_grads = gen_tape.gradient(gen_loss, generator.trainable_variables)
        disc_grads = disc_tape.gradient(disc_loss, discriminator.trainable_variables)
        generator_optimizer.apply_gradients(zip(gen_grads, generator.trainable_variables))
        discriminator_optimizer.apply_gradients(zip(disc_grads, discriminator.trainable_variables))
        return gen_loss, disc_loss

    for _ in range(500):
        gen_loss, disc_loss = train_step(4.0 + 0.5 * tf.random.normal([64, 1]))
    sample = generator(tf.random.normal([2000, 1]))
    assert abs(float(tf.reduce_mean(sample)) - 4.0) < 1.0
    assert np.isfinite([float(gen_loss), float(disc_loss)]).all()


def test_one_persistent_tape_for_two_losses() -> None:
    a, b = tf.Variable(2.0), tf.Variable(3.0)
    with tf.GradientTape(persistent=True) as tape:
        first = a * a * b
        second = tf.math.log(b) * a
    assert [g.numpy() for g in tape.gradient(first, [a, b])] == [12.0, 4.0]
    assert tape.gradient(second, [a, b])[1].numpy() == pytest.approx(2 / 3)
    both = tape.gradient({"first": first, "second": second}, {"x": a})
    assert both["x"].numpy() == pytest.approx(12 + np.log(3))
    del tape


def test_newtons_method_with_a_hessian_from_nested_tapes() -> None:
    def rosenbrock(p):
        x, y = tf.unstack(p)
        return (1.0 - x) ** 2 + 100.0 * (y - x ** 2) ** 2

    p = tf.Variable([-1.2, 1.0], dtype=tf.float64)
    for _ in range(8):
        with tf.GradientTape() as t2:
            with tf.GradientTape() as t1:
                loss = rosenbrock(p)
            g = t1.gradient(loss, p)
        h = t2.jacobian(g, p)
        determinant = h[0, 0] * h[1, 1] - h[0, 1] * h[1, 0]
        step = tf.stack([h[1, 1] * g[0] - h[0, 1] * g[1], h[0, 0] * g[1] - h[1, 0] * g[0]]) / determinant
        p.assign_sub(step)
    np.testing.assert_allclose(p.numpy(), [1.0, 1.0], atol=1e-8)
    np.testing.assert_allclose(h.numpy(), [[802.0, -400.0], [-400.0, 200.0]], rtol=1e-3)


def test_policy_gradient_on_a_bandit() -> None:
    tf.random.set_seed(5)
    payoff = tf.constant([0.1, 0.2, 0.8, 0.3])
    logits = tf.Variable(tf.zeros([4]))
    optimizer = tf.optimizers.SGD(learning_rate=0.5)
    baseline = 0.0
    for _episode in range(150):
        with tf.GradientTape() as tape:
            actions = tf.squeeze(tf.random.categorical(tf.expand_dims(logits, 0), 32), axis=0)
            rewards = tf.cast(tf.random.uniform([32]) < tf.gather(payoff, actions), tf.float32)
            neg_log_prob = tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels=actions, logits=tf.tile(tf.expand_dims(logits, 0), [32, 1]))
            loss = tf.reduce_mean(neg_log_prob * (rewards - baseline))
        optimizer.apply_gradients([(tape.gradient(loss, logits), logits)])
        baseline = 0.9 * baseline + 0.1 * float(tf.reduce_mean(rewards))
    probabilities = tf.nn.softmax(logits).numpy()
    assert probabilities.argmax() == 2
    assert probabilities[2] > 0.8


def test_custom_gradients() -> None:
    @tf.custom_gradient
    def log1pexp(x):
        e = tf.exp(x)

        def grad(upstream):
            return upstream * (1 - 1 / (1 + e))

        return tf.math.log(1 + e), grad

    x = tf.constant(100.0)
    with tf.GradientTape() as g:
        g.watch(x)
        y = log1pexp(x)
    assert g.gradient(y, x).numpy() == 1.0

    @tf.custom_gradient
    def clip_gradients(y):
        def backward(dy):
            return tf.clip_by_norm(dy, 0.5)
        return y, backward

    v = tf.Variable(2.0)
    with tf.GradientTape() as t:
        output = clip_gradients(v * v)
    assert t.gradient(output, v).numpy() == 2.0


def test_the_heat_equation_by_second_derivatives() -> None:
    """A network u(x) with u'' = -pi**2 sin(pi x), u(0) = u(1) = 0."""
    rng = np.random.default_rng(1)
    w1 = tf.Variable(rng.normal(size=(1, 24)) * 2, dtype=tf.float32)
    b1 = tf.Variable(rng.normal(size=(24,)), dtype=tf.float32)
    w2 = tf.Variable(rng.normal(size=(24, 1)) * 0.2, dtype=tf.float32)
    xs = tf.reshape(tf.linspace(0.0, 1.0, 33), [-1, 1])
    pi = tf.constant(np.pi, dtype=tf.float32)

    def u(x):
        return x * (1.0 - x) * tf.matmul(tf.tanh(tf.matmul(x, w1) + b1), w2)

    optimizer = tf.keras.optimizers.Adam(tf.keras.optimizers.schedules.ExponentialDecay(0.02, 200, 0.7))
    for _ in range(500):
        with tf.GradientTape() as tape:
            with tf.GradientTape() as outer:
                outer.watch(xs)
                with tf.GradientTape() as inner:
                    inner.watch(xs)
                    values = u(xs)
                du = inner.gradient(values, xs)
            d2u = outer.gradient(du, xs)
            residual = d2u + pi ** 2 * tf.sin(pi * xs)
            loss = tf.reduce_mean(tf.square(residual))
        variables = [w1, b1, w2]
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
    error = tf.reduce_max(tf.abs(u(xs) - tf.sin(pi * xs)))
    assert float(error) < 0.03


def test_word_embeddings_with_sparse_gradients() -> None:
    words = "the cat sat on the mat the dog sat on the rug".split()
    vocabulary = sorted(set(words))
    ids = [vocabulary.index(w) for w in words]
    pairs = [(ids[i], ids[j]) for i in range(len(ids)) for j in (i - 1, i + 1) if 0 <= j < len(ids)]
    centers = tf.constant([p[0] for p in pairs])
    contexts = tf.constant([p[1] for p in pairs])
    tf.random.set_seed(0)
    embeddings = tf.Variable(tf.random.uniform([len(vocabulary), 8], -1.0, 1.0))
    nce_weights = tf.Variable(tf.random.truncated_normal([len(vocabulary), 8], stddev=0.3))
    optimizer = tf.keras.optimizers.Adagrad(learning_rate=0.5)
    losses = []
    for _ in range(60):
        with tf.GradientTape() as tape:
            vectors = tf.nn.embedding_lookup(embeddings, centers)
            logits = tf.matmul(vectors, nce_weights, transpose_b=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=contexts, logits=logits))
        grads = tape.gradient(loss, [embeddings, nce_weights])
        assert isinstance(grads[0], tf.IndexedSlices)
        assert grads[0].values.shape == (len(pairs), 8)
        assert tf.convert_to_tensor(grads[0]).shape == embeddings.shape
        optimizer.apply_gradients(zip(grads, [embeddings, nce_weights]))
        losses.append(loss.numpy())
    assert losses[-1] < 0.6 * losses[0]
    before = embeddings.numpy()
    embeddings.scatter_sub(tf.IndexedSlices(tf.ones([1, 8]), tf.constant([2])))
    np.testing.assert_allclose(before - embeddings.numpy(), np.eye(len(vocabulary))[:, 2:3] * np.ones(8), atol=1e-6)


def test_gradient_clipping_and_regularization() -> None:
    tf.random.set_seed(11)
    w = tf.Variable(tf.random.normal([5, 3], stddev=10.0))
    x, y = tf.ones([4, 5]), tf.zeros([4, 3])
    with tf.GradientTape() as tape:
        loss_each = tf.reduce_sum(tf.square(tf.matmul(x, w) - y), axis=1)
        loss = tf.nn.compute_average_loss(loss_each, global_batch_size=4)
        loss += tf.nn.scale_regularization_loss(0.01 * tf.nn.l2_loss(w))
    grads = tape.gradient(loss, [w])
    clipped, norm = tf.clip_by_global_norm(grads, 1.0)
    assert float(norm) == pytest.approx(np.linalg.norm(grads[0].numpy()), rel=1e-6)
    assert float(tf.linalg.global_norm(clipped)) == pytest.approx(1.0, rel=1e-6)
    x64, w64 = np.ones((4, 5)), w.numpy().astype(float)
    np.testing.assert_allclose(grads[0].numpy(), 2 * x64.T @ (x64 @ w64) / 4 + 0.01 * w64, rtol=1e-4)


def test_early_stopping_by_a_python_branch_in_a_compiled_function() -> None:
    @tf.function
    def collatz(n):
        steps = tf.constant(0)
        while n != 1:
            n = n // 2 if n % 2 == 0 else 3 * n + 1
            steps += 1
        return steps

    assert int(collatz(tf.constant(27))) == 111
    assert int(collatz(tf.constant(6))) == 8


def test_hessian_vector_product_with_forward_over_reverse() -> None:
    x = tf.constant([1.0, 2.0, 3.0])
    v = tf.constant([0.0, 1.0, 0.0])
    with tf.autodiff.ForwardAccumulator(x, v) as acc:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(x ** 3) + x[0] * x[1]
        g = tape.gradient(y, x)
    np.testing.assert_allclose(acc.jvp(g).numpy(), [1.0, 12.0, 0.0])


def test_batch_jacobian_and_a_recurrent_loop_with_a_tensor_array() -> None:
    w = tf.Variable([[0.5, -0.3], [0.2, 0.1]])
    steps = tf.constant([[1.0, 2.0], [0.5, -1.0], [0.0, 1.0]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(steps)
        outputs = tf.TensorArray(tf.float32, size=3)
        state = tf.zeros([2])
        for t in tf.range(3):
            state = tf.tanh(tf.linalg.matvec(w, state) + steps[t])
            outputs = outputs.write(t, state)
        history = outputs.stack()
        squares = history ** 2
    assert history.shape == (3, 2)
    np.testing.assert_allclose(tape.batch_jacobian(squares, history).numpy(),
                               [np.diag(2 * row) for row in history.numpy()], rtol=1e-6)
    gradient = tape.gradient(squares, w)
    numeric = np.zeros((2, 2))
    for i in range(2):
        for j in range(2):
            for sign in (1, -1):
                m, s, total = w.numpy().astype(float), np.zeros(2), 0.0
                m[i, j] += sign * 1e-5
                for row in steps.numpy().astype(float):
                    s = np.tanh(m @ s + row)
                    total += (s ** 2).sum()
                numeric[i, j] += sign * total / 2e-5
    np.testing.assert_allclose(gradient.numpy(), numeric, rtol=1e-4)
