"""The peer of `engine.py`, in an environment of its own: a server of llama-cpp-python, and the harness that asks it."""

import json
import sys
import time
import urllib.request


def serve(path: str, port: str, threads: str, repacks: str) -> None:
    """Serves a model as its users do; `repacks` is 0 where llama.cpp would die of rearranged weights."""
    import llama_cpp
    import llama_cpp.server.__main__ as server

    native = llama_cpp.llama_cpp
    defaults = native.llama_model_default_params

    def survivable():
        parameters = defaults()
        parameters.use_extra_bufts = repacks == "1"
        return parameters

    native.llama_model_default_params = survivable
    sys.argv = ["server", "--model", path, "--port", port, "--n_ctx", "2048", "--logits_all", "true"]
    sys.argv += ["--n_threads", threads, "--n_threads_batch", threads, "--verbose", "false"]
    server.main()


def ask(port: str) -> None:
    """Scores what stands on stdin; prints the seconds that took."""
    from types import SimpleNamespace

    from lm_eval.models.gguf import GGUFLM  # pyright: ignore[reportMissingImports]

    address = f"http://127.0.0.1:{port}"
    for _ in range(240):
        try:
            urllib.request.urlopen(f"{address}/v1/models").read()
            break
        except OSError:
            time.sleep(0.5)
    items = json.load(sys.stdin)
    harness = GGUFLM(base_url=address)
    requests = [SimpleNamespace(args=(prompt, option)) for prompt, options in items for option in options]
    harness.loglikelihood(requests[:1], disable_tqdm=True)
    started = time.perf_counter()
    harness.loglikelihood(requests, disable_tqdm=True)
    print(time.perf_counter() - started)


if __name__ == "__main__":
    {"serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:])
