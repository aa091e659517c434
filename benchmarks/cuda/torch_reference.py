"""The lines of gpu_benchmark for PyTorch 2 eager (scaled_dot_product_attention, bf16): times to set beside its table.

Needs torch with CUDA and transformers (LoRA: peft). Texts are padded, as transformers takes them; a rate counts the
operations that their own tokens need.
"""
import random
import statistics

import torch

ROWS, WIDTH = 16384, 4096


def seconds(work, runs=15):
    work()
    times = []
    for _ in range(runs):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        work()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) * 1e-3)
    return statistics.median(times)


def line(name, time, operations=None):
    rate = f"{operations / time * 1e-12:8.1f} TFLOP/s" if operations else ""
    print(f"| {name:<58} | {time * 1e6:9.1f} | {rate} |", flush=True)


def small_kernels():
    x = torch.rand(ROWS, WIDTH, device="cuda")
    a, b = (torch.rand(ROWS, WIDTH, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    gain = torch.ones(WIDTH, device="cuda")
    line("RMSNorm, f32 to bf16", seconds(lambda: torch.nn.functional.rms_norm(x, (WIDTH,), gain, 1e-5).bfloat16()))
    line("SiLU(gate) x up, bf16", seconds(lambda: torch.nn.functional.silu(a) * b))
    line("f32 to bf16", seconds(lambda: x.bfloat16()))


def attention(causal):
    texts, tokens, heads, kv_heads, d = 8, 2048, 32, 8, 128
    make = lambda n: torch.randn(texts, n, tokens, d, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    q, k, v = make(heads), make(kv_heads), make(kv_heads)
    run = lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=True)
    operations = (0.5 if causal else 1) * 4 * texts * tokens * tokens * heads * d
    line(f"attention, {'causal' if causal else 'bidirectional'}, 8 x 2,048, d 128, 32 / 8 heads", seconds(run), operations)
    out = run()
    gradient = torch.randn_like(out)
    line("  backward", seconds(lambda: torch.autograd.grad(out, (q, k, v), gradient, retain_graph=True)), 2.5 * operations)


def padded(tokens, longest, ragged):
    generator = random.Random(2)
    lengths = []
    while sum(lengths) < tokens:
        lengths.append(generator.randint(longest // 5, longest) if ragged else longest)
    ids = torch.randint(0, 1000, (len(lengths), max(lengths)), device="cuda")
    mask = torch.tensor([[t < n for t in range(max(lengths))] for n in lengths], device="cuda", dtype=torch.long)
    return ids, mask, sum(lengths)


def model(name, config):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModel

    decoder = AutoModel.from_config(config, attn_implementation="sdpa").to("cuda", torch.bfloat16).eval()
    values = sum(p.numel() for n, p in decoder.named_parameters() if p.dim() == 2 and "embed" not in n)
    for what, batch in (("forward, 16k tokens of 512", padded(16384, 512, False)),
                        ("forward, 16k tokens, ragged texts of 25 to 128", padded(16384, 128, True))):
        ids, mask, tokens = batch
        with torch.inference_mode():
            line(f"{name}: {what}", seconds(lambda: decoder(ids, attention_mask=mask), 5), 2 * values * tokens)
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    trained = get_peft_model(decoder, LoraConfig(r=16, lora_alpha=32, target_modules=targets)).train()
    ids, mask, tokens = padded(4096, 128, True)

    def step():
        trained(ids, attention_mask=mask).last_hidden_state.float().mean().backward()

    line(f"{name}: LoRA r = 16, forward and backward, 4k tokens", seconds(step, 5), 4 * values * tokens)


def main():
    from transformers import MistralConfig, Qwen3Config

    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}\n")
    print("| PyTorch | microseconds | rate |\n|---|---|---|")
    small_kernels()
    attention(False)
    attention(True)
    shared = dict(head_dim=128, num_key_value_heads=8)
    model("0.6B (Qwen3)", Qwen3Config(hidden_size=1024, num_hidden_layers=28, num_attention_heads=16, intermediate_size=3072,
                                      vocab_size=151936, **shared))
    model("7B (Mistral), 8 of its 32 blocks",
          MistralConfig(hidden_size=4096, num_hidden_layers=8, num_attention_heads=32, intermediate_size=14336,
                        vocab_size=32000, **shared))


if __name__ == "__main__":
    main()
