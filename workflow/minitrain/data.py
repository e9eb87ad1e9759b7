"""Synthetic samples with something to learn, the same for every layout."""

import torch


class NoisyChain:
    """Token sequences that walk along one seeded ring of the vocabulary and now and then jump.

    The successor on the ring follows a token, except after one in `JUMP_ONE_IN`, where the walk goes on from
    elsewhere; jumps prefer one part of the ring. A model can learn which tokens are common and which token follows
    another. A sample depends on the seed and its index alone.
    """

    JUMP_ONE_IN = 8

    def __init__(self, vocab_size: int, seq_length: int, seed: int) -> None:
        self.vocab_size = vocab_size
        self.seq_length = seq_length
        self.seed = seed
        self.ring = torch.randperm(vocab_size, generator=torch.Generator().manual_seed(seed))

    def samples(self, first: int, count: int) -> torch.Tensor:
        """Samples `first` to `first + count - 1`: int64, [count, seq_length + 1]."""
        return torch.stack([self._sample(index) for index in range(first, first + count)])

    def _sample(self, index: int) -> torch.Tensor:
        """One sample: int64, [seq_length + 1]."""
        length = self.seq_length + 1
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + index + 1)
        steps = torch.arange(length)
        jumps = torch.randint(self.JUMP_ONE_IN, (length,), generator=generator) == 0
        jumps[0] = True
        landings = (torch.rand(length, generator=generator) ** 4 * self.vocab_size).long()
        last_jump = torch.where(jumps, steps, 0).cummax(0).values
        return self.ring[(landings[last_jump] + steps - last_jump) % self.vocab_size]
