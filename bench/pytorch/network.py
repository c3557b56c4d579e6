"""SelfPatch in PyTorch: what our step and features are compared with.

Every module has two forms of the same mathematics. `original` does what the published program does, operation by
operation: copies of all candidate features, keys and values per copy, softmax over a stored matrix, one loss per pair of
views. `tuned` is what PyTorch can do with care: fused attention, keys and values once per patch, every head once over
the rows of all crops, fused optimizer.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

ARCHITECTURES = {"vit_tiny16": (192, 3), "vit_small16": (384, 6), "vit_base16": (768, 12)}
STUDENT_T, TEACHER_T, CENTER_MOMENTUM, PATCH_WEIGHT = 0.1, 0.04, 0.9, 0.1


def heads_of(x: torch.Tensor, heads: int) -> torch.Tensor:
    """(B, N, W) -> (B, H, N, P)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


class Mlp(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, width: int, heads: int, rate: float, tuned: bool):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.qkv, self.proj, self.mlp = nn.Linear(width, 3 * width), nn.Linear(width, width), Mlp(width)
        self.heads, self.rate, self.tuned = heads, rate, tuned

    def attend(self, x):
        q, k, v = (heads_of(t, self.heads) for t in self.qkv(x).chunk(3, dim=-1))
        if self.tuned:
            y = F.scaled_dot_product_attention(q, k, v)
        else:
            y = (q @ k.mT * q.shape[-1] ** -0.5).softmax(-1) @ v
        return self.proj(y.transpose(1, 2).flatten(2))

    def drop(self, branch, keep):
        if keep is None or (self.tuned and self.rate == 0):
            return branch
        return branch / (1 - self.rate) * keep.view(-1, 1, 1).to(branch.dtype)

    def forward(self, x, keep=None):
        x = x + self.drop(self.attend(self.norm1(x)), None if keep is None else keep[0])
        return x + self.drop(self.mlp(self.norm2(x)), None if keep is None else keep[1])


class Backbone(nn.Module):
    patch, table = 16, 14

    def __init__(self, width: int, heads: int, tuned: bool, depth: int = 12, drop_path: float = 0.1):
        super().__init__()
        self.embed = nn.Conv2d(3, width, self.patch, self.patch)
        self.positions = nn.Parameter(0.02 * torch.randn(1, self.table ** 2, width))
        self.rates = [drop_path * i / (depth - 1) for i in range(depth)]
        self.blocks = nn.ModuleList(Block(width, heads, rate, tuned) for rate in self.rates)

    def forward(self, images, keep=None):
        x = self.embed(images).flatten(2).mT
        side = images.shape[-1] // self.patch
        positions = self.positions
        if side != self.table:
            square = positions.unflatten(1, (self.table, -1)).permute(0, 3, 1, 2)
            scale = (side + 0.1) / self.table  # the published rule, an offset of a tenth
            positions = F.interpolate(square, scale_factor=scale, mode="bicubic").flatten(2).mT
        x = x + positions
        for i, block in enumerate(self.blocks):
            x = block(x, None if keep is None else keep[i])
        return x


class ClassBlock(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.q, self.k, self.v, self.proj = (nn.Linear(width, width) for _ in range(4))
        self.mlp, self.heads = Mlp(width), heads

    def forward(self, token, tokens):
        """token (B, 1, W) attends to itself and to tokens (B, N, W)."""
        u = self.norm1(torch.cat([token, tokens], dim=1))
        q, k, v = self.q(u[:, :1]), self.k(u), self.v(u)
        q, k, v = (heads_of(t, self.heads) for t in (q, k, v))
        y = (q * q.shape[-1] ** -0.5 @ k.mT).softmax(-1) @ v
        token = token + self.proj(y.transpose(1, 2).flatten(2))
        return token + self.mlp(self.norm2(token))

    def shared(self, token, k, v):
        """token (B, Q, W), each with n keys and values (B, Q, n, W) beside its own."""
        u = self.norm1(token)
        k = torch.cat([self.k(u).unsqueeze(2), k], dim=2).unflatten(-1, (self.heads, -1))
        v = torch.cat([self.v(u).unsqueeze(2), v], dim=2).unflatten(-1, (self.heads, -1))
        q = self.q(u).unsqueeze(2).unflatten(-1, (self.heads, -1))
        if k.shape[2] > 16:
            q, k, v = (t.flatten(0, 1).transpose(1, 2) for t in (q, k, v))
            y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        else:
            share = ((q * q.shape[-1] ** -0.5) * k).sum(-1, keepdim=True).softmax(2)
            y = (share * v).sum(2)
        token = token + self.proj(y.reshape(token.shape))
        return token + self.mlp(self.norm2(token))


def candidates(rows: int, cols: int) -> torch.Tensor:
    """The 8 neighbors (N, 8) of every patch of a torus, in ascending order."""
    r, c = torch.arange(rows).repeat_interleave(cols), torch.arange(cols).repeat(rows)
    steps = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
    return torch.stack([(r + i) % rows * cols + (c + j) % cols for i, j in steps], dim=1).sort(dim=1)[0]


def nearest_original(x, table, k):
    """Places (B, N, k) in the rows of the table; the features of all candidates are copied."""
    unit = F.normalize(x, dim=-1)
    return (unit[:, table] @ unit.unsqueeze(-1)).squeeze(-1).topk(k, dim=-1)[1]


def nearest_tuned(x, rows, cols, k):
    """Patches (B, N, k): each pair of neighbors is multiplied once."""
    unit = F.normalize(x, dim=-1).unflatten(1, (rows, cols))
    number = torch.arange(rows * cols, device=x.device).view(1, rows, cols)
    similar, which = [], []
    for step in ((0, 1), (1, -1), (1, 0), (1, 1)):
        back = tuple(-s for s in step)
        ahead = (unit * unit.roll(back, (1, 2))).sum(-1)
        similar += [ahead, ahead.roll(step, (1, 2))]
        which += [number.roll(back, (1, 2)), number.roll(step, (1, 2))]
    best = torch.stack(similar, -1).topk(k, dim=-1)[1]
    return torch.stack(which, -1).expand(len(x), -1, -1, -1).gather(-1, best).flatten(1, 2)


class Head(nn.Module):
    def __init__(self, width: int, heads: int, tuned: bool, k: int = 4):
        super().__init__()
        self.token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.blocks = nn.ModuleList(ClassBlock(width, heads) for _ in range(2))
        self.norm, self.tuned, self.k = nn.LayerNorm(width, 1e-6), tuned, k

    def summarise(self, tokens):
        token = self.token.expand(len(tokens), -1, -1)
        for block in self.blocks:
            token = block(token, tokens)
        return token

    def original(self, x, aggregate):
        B, N, W = x.shape
        image, patches = self.summarise(x), x
        if aggregate:
            side = math.isqrt(N)
            table = candidates(side, side)
            best = nearest_original(x, table, self.k)
            near = x[:, table].gather(2, best.unsqueeze(-1).expand(-1, -1, -1, W))
            patches = self.summarise(near.flatten(0, 1)).view(B, N, W)
        return self.norm(image).squeeze(1), self.norm(patches)

    def forward(self, x, aggregate):
        if not self.tuned:
            return self.original(x, aggregate)
        B, N, W = x.shape
        image, patches = self.token.expand(B, 1, W), x
        if aggregate:
            side = math.isqrt(N)
            at = nearest_tuned(x, side, side, self.k) + N * torch.arange(B, device=x.device).view(-1, 1, 1)
            patches = self.token.expand(B, N, W)
        for block in self.blocks:
            u = block.norm1(x)
            k, v = block.k(u), block.v(u)
            image = block.shared(image, k.unsqueeze(1), v.unsqueeze(1))
            if aggregate:
                patches = block.shared(patches, k.flatten(0, 1)[at], v.flatten(0, 1)[at])
        return self.norm(image).squeeze(1), self.norm(patches)


class Projection(nn.Module):
    def __init__(self, width: int, out: int, tuned: bool, hidden: int = 2048, bottleneck: int = 256):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(),
                                 nn.Linear(hidden, bottleneck))
        self.v = nn.Parameter(torch.randn(out, bottleneck) / 16)
        self.g = nn.Parameter(torch.ones(out, 1), requires_grad=False)
        self.tuned = tuned

    def forward(self, x):
        z = F.normalize(self.mlp(x), dim=-1)
        scale = self.g / self.v.norm(dim=1, keepdim=True)
        if self.tuned and z.numel() < z.shape[-1] ** 2:  # few rows: scale their logits, not the weights
            logits = F.linear(z, self.v)
            return logits * scale.mT.to(logits.dtype)
        return F.linear(z, self.v * scale)


class Network(nn.Module):
    def __init__(self, width: int, heads: int, tuned: bool):
        super().__init__()
        self.backbone, self.head = Backbone(width, heads, tuned), Head(width, heads, tuned)
        self.c_head, self.p_head = Projection(width, 65536, tuned), Projection(width, 4096, tuned)
        self.tuned = tuned

    def forward(self, crops, aggregate, keep):
        """Logits of images and of patches: per size of crops in the original, of all rows in the tuned form."""
        made = [self.head(self.backbone(c, m), aggregate) for c, m in zip(crops, keep)]
        if self.tuned:
            return (self.c_head(torch.cat([image for image, _ in made])),
                    self.p_head(torch.cat([patches.flatten(0, 1) for _, patches in made])))
        return [(self.c_head(image), self.p_head(patches)) for image, patches in made]


class Loss:
    def __init__(self, batch: int, crops, patch: int):
        self.batch, self.views = batch, [len(c) // batch for c in crops]
        self.center, self.patch_center = torch.zeros(1, 65536), torch.zeros(1, 4096)
        count = [len(c) * (c.shape[-1] // patch) ** 2 for c in crops]
        self.weight = torch.cat([torch.full((n,), v / sum(self.views) / n) for n, v in zip(count, self.views)])

    @torch.no_grad()
    def move_centers(self, image, patch):
        self.center.lerp_(image.float().mean(0, keepdim=True), 1 - CENTER_MOMENTUM)
        self.patch_center.lerp_(patch.float().mean(0, keepdim=True), 1 - CENTER_MOMENTUM)

    def original(self, teacher, student):
        """Pair by pair of views."""
        split = lambda made: [(i, p) for image, patch in made
                              for i, p in zip(image.split(self.batch), patch.split(self.batch))]
        teacher_views, student_views = split(teacher), split(student)
        image = patch = 0.0
        for t, (t_image, t_patch) in enumerate(teacher_views):
            target = ((t_image - self.center) / TEACHER_T).softmax(-1)
            for s, (s_image, s_patch) in enumerate(student_views):
                if s == t:
                    q = ((t_patch - self.patch_center) / TEACHER_T).softmax(-1)
                    patch = patch - (q * (s_patch / STUDENT_T).log_softmax(-1)).sum(-1).mean()
                elif t < 2:
                    image = image - (target * (s_image / STUDENT_T).log_softmax(-1)).sum(-1).mean()
        self.move_centers(torch.cat([i for i, _ in teacher]),
                          torch.cat([p.flatten(0, 1) for _, p in teacher]))
        image, patch = image / (2 * len(student_views) - 2), patch / len(student_views)
        image.item(), patch.item()
        return image + PATCH_WEIGHT * patch

    def tuned(self, teacher, student):
        """Every distribution once; the pairs of views are one small matrix."""
        views = sum(self.views)
        q = ((teacher[0][:2 * self.batch] - self.center) / TEACHER_T).softmax(-1, dtype=torch.float32)
        log_p = (student[0] / STUDENT_T).log_softmax(-1, dtype=torch.float32)
        pairs = -torch.einsum("tbk,sbk->ts", q.unflatten(0, (2, -1)), log_p.unflatten(0, (views, -1)))
        image = (pairs.sum() - pairs.diagonal().sum()) / (self.batch * (2 * views - 2))
        q = ((teacher[1] - self.patch_center) / TEACHER_T).softmax(-1)
        patch = F.cross_entropy(student[1] / STUDENT_T, q, reduction="none") @ self.weight.to(q.dtype)
        self.move_centers(*teacher)
        return image + PATCH_WEIGHT * patch


class Step:
    """Teacher, student, loss, gradients, clipping per tensor, AdamW, teacher's average."""

    def __init__(self, arch: str, batch: int, tuned: bool, compiled: bool):
        width, heads = ARCHITECTURES[arch]
        self.student, self.teacher = (Network(width, heads, tuned) for _ in range(2))
        self.teacher.load_state_dict(self.student.state_dict())
        self.teacher.requires_grad_(False)
        self.tuned, self.learned = tuned, [p for p in self.student.parameters() if p.requires_grad]
        decayed = [p for p in self.learned if p.ndim > 1]
        plain = [p for p in self.learned if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW([{"params": decayed}, {"params": plain, "weight_decay": 0.0}], lr=5e-4,
                                           weight_decay=0.04, fused=True if tuned else None)
        self.crops = [torch.randn(2 * batch, 3, 224, 224), torch.randn(8 * batch, 3, 96, 96)]
        self.loss = Loss(batch, self.crops, Backbone.patch)
        rates = self.student.backbone.rates
        self.kept = 1 - torch.tensor(rates).view(-1, 1, 1)
        self.make, self.see = (torch.compile(n) if compiled else n for n in (self.student, self.teacher))

    def __call__(self):
        keep = [(torch.rand(len(self.kept), 2, len(c)) < self.kept).float() for c in self.crops]
        with torch.no_grad():
            taught = self.see(self.crops, True, [None] * 2)
        learned = self.make(self.crops, False, keep)
        loss = (self.loss.tuned if self.tuned else self.loss.original)(taught, learned)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        with torch.no_grad():
            self.clip()
            self.optimizer.step()
            self.follow()

    def clip(self):
        gradients = [p.grad for p in self.learned]
        if self.tuned:
            scale = torch._foreach_norm(gradients)
            torch._foreach_add_(scale, 1e-6)
            torch._foreach_reciprocal_(scale)
            torch._foreach_mul_(scale, 3.0)
            torch._foreach_clamp_max_(scale, 1.0)
            torch._foreach_mul_(gradients, scale)
            return
        for g in gradients:
            scale = 3.0 / (g.norm().item() + 1e-6)
            if scale < 1:
                g.mul_(scale)

    def follow(self):
        mine, theirs = list(self.teacher.parameters()), list(self.student.parameters())
        if self.tuned:
            torch._foreach_lerp_(mine, theirs, 0.004)
            return
        for m, t in zip(mine, theirs):
            m.mul_(0.996).add_(0.004 * t)
