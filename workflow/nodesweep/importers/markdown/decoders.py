"""Names of decoders in documents: which say that a model is no GPT, so that the formula of a GPT is none of its."""

import re

_OTHERS = re.compile(
    r"(?<![a-z])(?:(?:code|tiny|small|open)?-?llama|qwen|mistral|mixtral|ministral|codestral|deepseek|gemma|phi|olmoe?|gpt-?oss"
    r"|nemotron|minitron|falcon|internlm|baichuan|chatglm|glm|granite|smollm|command-r|dbrx|grok|kimi|palm|jamba|mamba|yi"
    r"|swiglu|geglu|reglu|gqa|mqa|mla|moe|grouped[ -]query|multi[ -]query|gated (?:ffn|mlp)|latent attention"
    r"|mixture[ -]of[ -]experts)(?=$|[^a-z]|v\d)|(?<![a-z])\d{1,4}b-a\d{1,3}b(?![a-z])",
    re.IGNORECASE,
)
_NOT_A_MODEL = re.compile(r"llama[._ -]?(?:cpp|index|factory)|megatron-?moe|phi coefficient", re.IGNORECASE)
_GPT = re.compile(r"(?<![a-z])gpt(?!-?oss)(?=$|[^a-z])", re.IGNORECASE)


def decoder_in(text: str) -> str:
    """The decoder that a text names: its name, `GPT` for one that the formula of a GPT holds for, empty for none.

    >>> decoder_in("Llama 3 8B, SwiGLU"), decoder_in("Qwen3 30B-A3B"), decoder_in("GPT-3 175B"), decoder_in("30B, MP 6")
    ('Llama', 'Qwen', 'GPT', '')
    """
    match = _OTHERS.search(_NOT_A_MODEL.sub("", text[:2000]))
    return match[0] if match else "GPT" if _GPT.search(text) else ""
