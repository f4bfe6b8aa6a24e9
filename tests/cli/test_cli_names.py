"""``tensorflow`` is answered inside a run and nowhere else."""
import importlib
import importlib.util
import sys

import pytest

from adjoint._config import config
from adjoint.cli._names import answering


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package that stands for a real TensorFlow on the machine."""
    package = tmp_path / "tensorflow"
    package.mkdir()
    (package / "__init__.py").write_text("real = True\n")
    (package / "keras.py").write_text("real = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield package
    for name in [n for n in sys.modules if n == "tensorflow" or n.startswith("tensorflow.")]:
        del sys.modules[name]


def test_answers_inside_only():
    path, spelling = sys.meta_path[:], config.spelling
    with answering():
        from tensorflow.keras import losses

        import tensorflow as tf
        from tensorflow import keras

        assert tf.__name__ == "tensorflow"
        assert tf.keras is keras
        assert keras.losses is losses
        assert importlib.import_module("tensorflow.keras.losses") is losses
        assert config.spelling == "tf"
        import adjoint.tensorflow

        assert tf.GradientTape is adjoint.tensorflow.GradientTape
        assert set(dir(adjoint.tensorflow)) <= set(dir(tf))
    assert sys.meta_path == path
    assert not [n for n in sys.modules if n == "tensorflow" or n.startswith("tensorflow.")]
    assert config.spelling == spelling


def test_installed_package_is_left_alone(installed):
    import tensorflow.keras

    import tensorflow

    before = dict(vars(tensorflow))
    with answering():
        import tensorflow as inside

        assert inside is not tensorflow
        assert not hasattr(inside, "real")
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("tensorflow.nothing_of_the_kind")
    assert sys.modules["tensorflow"] is tensorflow
    assert sys.modules["tensorflow.keras"] is tensorflow.keras
    assert vars(tensorflow) == before


def test_installed_package_can_be_imported_afterwards(installed):
    with answering():
        import tensorflow as inside
    tensorflow = importlib.import_module("tensorflow")
    assert tensorflow is not inside
    assert tensorflow.real


def test_other_names_are_left_alone():
    with answering():
        assert importlib.util.find_spec("tensorflow_probability") is None
        assert importlib.util.find_spec("json").origin.endswith("__init__.py")


def test_what_a_program_puts_in_stays_in_the_run():
    import adjoint.tensorflow

    with answering():
        import tensorflow as tf

        tf.mine = 1
        tf.constant = None
    assert not hasattr(adjoint.tensorflow, "mine")
    assert adjoint.tensorflow.constant is not None


@pytest.mark.parametrize("line", [
    "from tensorflow import matmull", "import tensorflow as tf; tf.matmull", "import tensorflow.matmull",
])
def test_a_missing_name_says_so_and_what_is_near(line):
    with answering(), pytest.raises((AttributeError, ImportError), match=r"adjoint has no .*matmull.*tf\.\S*matmul"):
        exec(line, {})


def test_star_import():
    space = {}
    with answering():
        exec("from tensorflow.math import *", space)
    assert callable(space["exp"])


def test_put_back_after_an_error():
    path = sys.meta_path[:]
    with pytest.raises(ZeroDivisionError), answering():
        raise ZeroDivisionError
    assert sys.meta_path == path
