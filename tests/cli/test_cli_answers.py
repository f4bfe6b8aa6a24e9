"""``adjoint explain``, ``draw``, ``check`` and ``run --anomaly``."""
import re
import subprocess
import sys
from pathlib import Path

import pytest

import adjoint as ad
from adjoint.tape import GradientTape
from adjoint.transforms.function import Function

EXAMPLES = Path(__file__).parents[2] / "examples"
METHODS = {name: getattr(GradientTape, name) for name in ("gradient", "jacobian", "batch_jacobian", "__enter__")}
CALL = Function.__call__

LINE = """\
import tensorflow as tf
w, b = tf.Variable(2.0), tf.Variable(0.5)
x = tf.constant([1.0, 2.0])
print("program output")
with tf.GradientTape() as tape:
    y = x * w + tf.stop_gradient(b)
    loss = tf.reduce_sum(y * y)
grads = tape.gradient(loss, [w, b])
"""


@pytest.fixture(autouse=True)
def _nothing_stays():
    yield
    assert all(getattr(GradientTape, name) is method for name, method in METHODS.items())
    assert Function.__call__ is CALL


def test_explain(script, run):
    path = script(LINE)
    status, out, err = run("explain", path)
    assert (status, err) == (0, "program output\n")
    head, w, b = out.split("\n\n")
    assert head.startswith(f"The last gradient was asked for at {path}:8 (grads = tape.gradient")
    assert w.startswith("The gradient of loss with respect to w flows: w float32[] -> multiply float32[2]")
    assert b.startswith("The gradient of loss with respect to b is None: stop_gradient at")
    assert f"{path}:6 (y = x * w + tf.stop_gradient(b))" in b
    assert "Remove it where the gradient is wanted." in b


def test_the_last_of_many_gradients(script, run):
    path = script("import adjoint as ad\n"
                  "def step(w, x):\n"
                  "    with ad.GradientTape() as tape:\n"
                  "        y = w * x\n"
                  "    w.assign_sub(0.1 * tape.gradient(y, w))\n"
                  "w = ad.Variable(1.0)\n"
                  "for k in range(3):\n"
                  "    step(w, float(k))\n"
                  "with ad.GradientTape(persistent=True) as last:\n"
                  "    late = ad.exp(w)\n"
                  "last.gradient(target=late, sources={'a': w})\n"
                  "w.assign(0.0)\n")
    _, out, _ = run("explain", path)
    assert f"{path}:11" in out
    assert "The gradient of late with respect to w flows: w float32[] -> exp float32[]" in out


def test_a_program_that_fails_is_explained_all_the_same(script, run):
    path = script(LINE + "tf.optimizers.SGD(0.1).apply_gradients([(grads[1], b)])\n")
    status, out, err = run("explain", path)
    assert status == 1
    assert "Traceback" in err
    assert "is None: stop_gradient at" in out
    path = script(LINE.replace("[w, b]", "[w, tf.Variable(1)]"))
    status, out, err = run("check", path)
    assert status == 1
    assert err == "program output\n"
    path = script("import adjoint as ad\nx = ad.Variable(1.0)\nwith ad.GradientTape() as t:\n    y = x * x\n"
                  "t.gradient(y, ad.constant(3))\n")
    status, out, err = run("check", path)
    assert status == 1
    assert "it raised, so there is no gradient to check" in err


@pytest.mark.parametrize("command", ["explain", "check", "draw"])
def test_nothing_to_answer_about(script, run, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(command, script("print(1)\n"))
    assert (status, out) == (1, "")
    assert re.fullmatch(r"1\nadjoint: the program (asked no tape for a gradient|used no tape.*)\n", err)
    status, out, err = run(command, script("1 / 0\n"))
    assert (status, out) == (1, "")
    assert err.endswith("ZeroDivisionError: division by zero\n")
    status, out, err = run(command, script("import sys; sys.exit(5)\n"))
    assert (status, out, err) == (5, "", "")
    status, out, err = run(command, script("x = (\n"))
    assert status == 1
    assert "SyntaxError" in err
    for name in ("absent.py", "absent.ipynb"):
        status, out, err = run(command, name)
        assert (status, out, err) == (2, "", f"adjoint: there is no file {name}\n")


def test_a_tape_that_was_never_asked(script, run, tmp_path):
    path = script("import adjoint as ad\nx = ad.Variable(1.0)\nwith ad.GradientTape() as tape:\n    y = ad.exp(x)\n")
    status, out, err = run("explain", path)
    assert (status, out) == (1, "")
    assert f"its last tape was entered at {path}:3" in err
    status, out, err = run("draw", path, "--output", str(tmp_path / "t.svg"))
    assert status == 0
    assert ">y = exp<" in (tmp_path / "t.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "start"), [("t.svg", b"<svg"), ("t.html", b"<!DOCTYPE html>"), ("t.png", b"\x89PNG")])
def test_draw(script, run, tmp_path, name, start):
    if name.endswith("png"):
        pytest.importorskip("matplotlib")
    path = script(LINE)
    picture = tmp_path / name
    status, out, err = run("draw", path, "--output", str(picture))
    assert (status, err) == (0, "program output\n")
    assert out == f"adjoint: a record of 5 operations in 8 boxes, written to {picture}\n"
    data = picture.read_bytes()
    assert data.startswith(start)
    if not name.endswith("png"):
        text = data.decode()
        assert "loss = " in text
        assert "∂ 23" in text                            # d loss / d w: the values are those of the gradient's moment


def test_draw_says_what_is_wrong(script, run, tmp_path):
    path = script(LINE)
    for output, says in [("t.jpg", "a drawing is .html, .svg or .png"), ("absent/t.svg", "there is no folder")]:
        status, out, err = run("draw", path, "--output", str(tmp_path / output))
        assert (status, out) == (2, "")
        assert says in err
        assert "program output" not in err               # found before the program ran
    (tmp_path / "folder.svg").mkdir()
    status, _, err = run("draw", path, "--output", str(tmp_path / "folder.svg"))
    assert status == 1
    assert "the tape cannot be drawn" in err


def test_arguments_of_a_script(script, run, tmp_path):
    path = script("import sys\nprint(sys.argv[1:])\nimport adjoint as ad\nx = ad.Variable(1.0)\n"
                  "with ad.GradientTape() as t:\n    y = x * x\nt.gradient(y, x)\n")
    picture = str(tmp_path / "t.svg")
    for argv, seen in [
        (("--output", picture, path, "a"), ["a"]), ((path, "--output", picture, "a", "--output", "b"), ["a", "--output", "b"]),
        ((path, f"--output={picture}", "--engine", "numpy", "--lr", "3"), ["--lr", "3"]),
        (("--output", picture, path, "--", "--output", "b"), ["--output", "b"]),
    ]:
        status, _, err = run("draw", *argv)
        assert (status, err) == (0, f"{seen}\n")


def test_check(script, run):
    path = script(LINE.replace("tf.stop_gradient(b)", "b"))
    status, out, _ = run("check", path)
    assert status == 0
    assert "gradients agree with differences" in out
    assert "gradient by w, its rules in float64: ok, 1 derivative" in out
    assert "gradient by b, as computed in float32: ok, 1 derivative" in out
    assert "Nothing that looks like a mistake was found." in out


def test_check_fails_where_the_gradient_is_none(script, run):
    status, out, _ = run("check", script(LINE))
    assert status == 1
    assert "b is None: stop_gradient at" in out
    assert "gradient by w, as computed in float32: ok" in out


def test_check_fails_where_a_gradient_is_wrong(script, run):
    path = script("import adjoint as ad\n"
                  "@ad.custom_gradient\n"
                  "def cube(x):\n"
                  "    return x ** 3, lambda dy: dy * 3.0 * x\n"
                  "x = ad.Variable([2.0, 1.0])\n"
                  "with ad.GradientTape() as tape:\n"
                  "    y = ad.sum(cube(x))\n"
                  "g = tape.gradient(y, x)\n")
    status, out, _ = run("check", path)
    assert status == 1
    assert "gradient by x, its rules in float64: ok" in out
    assert "gradient by x, as computed in float32: WRONG, worst of 2 is d the target by x[0]: expected 12, found 6" in out
    assert f"custom_gradient at {path}:7: its gradient was compared with the derivative of its function" in out


def test_check_follows_a_nan(script, run):
    path = script("import adjoint as ad\nx = ad.Variable([0.0, 1.0])\nwith ad.GradientTape() as tape:\n"
                  "    y = ad.sum(ad.sqrt(x) * 2.0)\ng = tape.gradient(y, x)\n")
    status, out, _ = run("check", path)
    assert status == 1
    assert "the derivative of sqrt (" in out
    assert "likely mistakes:\n- the gradient of x is not finite" in out


def test_check_names_likely_mistakes_and_lost_digits(script, run):
    path = script("import adjoint as ad\nx = ad.Variable([[1.0], [2.0]])\nt = ad.constant([1.0, 2.0])\n"
                  "with ad.GradientTape() as tape:\n    loss = ad.mean((x - t) ** 2)\ng = tape.gradient(loss, x)\n")
    status, out, _ = run("check", path)
    assert status == 0
    assert "- subtract at" in out
    path = script("import adjoint as ad\nx = ad.Variable(1e-4)\nwith ad.GradientTape() as tape:\n"
                  "    y = ad.log((1.0 + x) ** 2 - 1.0)\ng = tape.gradient(y, x)\n")
    status, out, _ = run("check", path)
    assert "its rules in float64: ok" in out


@pytest.mark.parametrize("call", ["jacobian", "batch_jacobian"])
def test_check_of_jacobians(script, run, call):
    path = script("import adjoint as ad\nx = ad.Variable([[1.0, 2.0], [3.0, 4.0], [0.5, 0.1]])\n"
                  "with ad.GradientTape() as tape:\n    y = ad.stack([x[:, 0] * x[:, 1], ad.exp(x[:, 0]), x[:, 1]], axis=1)\n"
                  f"j = tape.{call}(y, x)\n")
    status, out, _ = run("check", path)
    assert status == 0
    assert f"The last {call.replace('_', ' ')} was asked for" in out
    assert "gradient by x, as computed in float32: ok, 54 derivatives" in out


def test_check_of_what_has_several_parts(script, run):
    path = script("import adjoint as ad\n"
                  "v, z = ad.Variable(3.0), ad.Variable(1.0 + 2.0j)\n"
                  "@ad.function\n"
                  "def step():\n"
                  "    with ad.GradientTape() as tape:\n"
                  "        a = v * v\n"
                  "        late = v * a * ad.random.normal(()) + ad.real(z * ad.conj(z))\n"
                  "    return tape.gradient([a, late], [v, z], output_gradients=[2.0, 3.0])\n"
                  "step()\n"
                  "ad.check_gradients\n")
    status, out, _ = run("check", path)
    assert status == 0
    assert "gradient by z, as computed in complex64: ok, 2 derivatives" in out


@pytest.mark.parametrize(("source", "says"), [
    ("x = ad.Variable(np.arange(8.0).reshape(4, 2))\nwith ad.GradientTape() as t:\n"
     "    y = ad.sum(ad.gather(x, ad.constant([1, 3, 3])) ** 2)\ng = t.gradient(y, x)\n",
     "gradient by x, as computed in float64: ok, 8 derivatives"),
    ("w = ad.cast(ad.constant([[1.0, 2.0], [3.0, 4.0]]), ad.bfloat16)\nwith ad.GradientTape() as t:\n    t.watch(w)\n"
     "    y = ad.sum(ad.cast(w @ w, ad.float32))\ng = t.gradient(y, w)\n",
     "gradient by w, as computed in bfloat16: ok, 4 derivatives"),
    ("x = ad.Variable([1.0, 2.0])\nwith ad.GradientTape() as outer:\n    with ad.GradientTape() as inner:\n"
     "        y = ad.sum(x ** 3)\n    g = inner.gradient(y, x)\nh = outer.jacobian(g, x)\n",
     "gradient by x, as computed in float32: ok, 4 derivatives"),
    ("print(ad.grad(lambda x: ad.sum(ad.nn.relu(x)))(ad.constant([1.0, 0.0])))\n", "lies between"),
    ("a = ad.Variable(np.eye(3))\nwith ad.GradientTape() as t:\n"
     "    r = ad.vmap(lambda v: ad.tanh(a @ v))(ad.constant(np.arange(6.0).reshape(2, 3) / 5))\n"
     "    y = ad.sum(ad.cumsum(ad.sort(r, axis=0), axis=0) * ad.where(r > 0.3, r, 0.1 * r))\n"
     "g = t.gradient([y, ad.max(r)], [a], output_gradients=[2.0, None])\nwith ad.GradientTape() as empty:\n    pass\n",
     "gradient by a, as computed in float64: ok, 9 derivatives"),
])
def test_check_of_many_kinds_of_programs(script, run, tmp_path, source, says):
    path = script("import adjoint as ad, numpy as np\n" + source)
    status, out, _ = run("check", path)
    assert (status, says in out) == (0, True), out
    assert run("draw", path, "--output", str(tmp_path / "t.svg"))[0] == 0


def test_notebook(book, run, tmp_path):
    path = book("import tensorflow as tf\nx = tf.Variable(1.0)", "with tf.GradientTape() as tape:\n    y = x * x",
                "g = tape.gradient(y, x)\ng")
    status, out, err = run("explain", path)
    assert status == 0
    assert "asked for at In [3], line 1 (g = tape.gradient(y, x))" in out
    assert "multiply float32[] at In [2], line 2 (y = x * x)" in out
    assert "Out[3]: <tf.Tensor" in err
    assert run("check", path)[0] == 0
    assert run("draw", path, "--output", str(tmp_path / "t.html"))[0] == 0
    status, _, err = run("check", book("x = 1 +"))
    assert status == 1
    assert "SyntaxError" in err


def test_the_examples(run, tmp_path):
    path = str(EXAMPLES / "gradient_descent.ipynb")
    status, out, _ = run("explain", path)
    assert status == 0
    assert out.count("flows:") == 2
    status, out, _ = run("check", path)
    assert status == 0
    assert "gradient by w, as computed in float32: ok, 12 derivatives" in out
    assert run("draw", path, "--output", str(tmp_path / "t.html"))[0] == 0


# ------------------------------------------------------------------------------------------------------------- anomaly

NAN = """\
import adjoint as ad
x = ad.Variable([1.0, 0.0])
with ad.GradientTape() as tape:
    y = ad.sum(ad.log(x) * x)
print(float(tape.gradient(y, x)[0]))
"""


def test_anomaly(script, run):
    path = script(NAN)
    assert run("run", path)[0] == 0
    status, out, err = run("run", "--anomaly", path)
    assert (status, out) == (1, "")
    last = err[err.index("adjoint.AnomalyError"):].splitlines()
    assert last[0] == (f"adjoint.AnomalyError: log at {path}:4 (y = ad.sum(ad.log(x) * x)) gave -inf at index (1,) though its "
                       f"inputs are finite.")
    assert last[1] == "  input 1: [1., 0.] float32[2], 0.0 at that index"


def test_anomaly_of_what_is_pending_at_the_end(script, run):
    path = script("import adjoint as ad\nx = ad.Variable(0.0)\ny = 1.0 / x\n")
    status, _, err = run("run", "--anomaly", path)
    assert status == 1
    assert err.startswith(f"adjoint.AnomalyError: divide at {path}:3 (y = 1.0 / x) gave inf")


def test_anomaly_finds_nothing(script, run):
    status, _, err = run("run", "--anomaly", script(NAN.replace("0.0]", "2.0]")))
    assert (status, err) == (0, "adjoint: every operation that was computed gave finite results\n")
    assert ad._trace.hooks.check is None


def test_anomaly_in_a_notebook(book, run, tmp_path):
    out_path = tmp_path / "done.ipynb"
    status, _, err = run("run", "--anomaly", book(*NAN.split("\n", 2)), "--output", str(out_path))
    assert status == 1
    assert "In [3] (cell 3 of 3), line 3: adjoint.AnomalyError: log at" in err
    assert out_path.exists()
    status, _, err = run("run", "--anomaly", book("import adjoint as ad\ny = ad.log(ad.constant(0.0))", "print('never')"))
    assert status == 1
    assert "In [1] (cell 1 of 2)" in err


def test_from_a_shell(script):
    done = subprocess.run([sys.executable, "-m", "adjoint", "check", script(LINE)], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.startswith("The last gradient was asked for at")
    assert done.stderr == "program output\n"
