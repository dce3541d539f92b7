"""PyTorch: its own layers, with an eager loop or `torch.compile`."""

import contextlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from bench.speed.rivals import torch_images as images
from bench.speed.twin import (
    BETA_1,
    BETA_2,
    LEARNING_RATE,
    LONG_EPSILON,
    Arrays,
    Precision,
    Step,
)


class MLP(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dense1, self.head = nn.Linear(784, 32), nn.Linear(32, 10)

    def forward(self, x: Any) -> Any:
        return self.head(F.relu(self.dense1(x.flatten(1))))


class CNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.conv3 = nn.Conv2d(64, 64, 3)
        self.dense, self.head = nn.Linear(576, 64), nn.Linear(64, 10)

    def forward(self, x: Any) -> Any:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.conv3(x)).permute(0, 2, 3, 1).flatten(1)
        return self.head(F.relu(self.dense(x)))


class Recurrent(nn.Module):
    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.layer1 = kind(28, 128, batch_first=True)
        self.head = nn.Linear(128, 10)
        if kind is nn.LSTM:  # two biases; only their sum matters
            nn.init.zeros_(self.layer1.bias_hh_l0)
            self.layer1.bias_hh_l0.requires_grad = False

    def forward(self, x: Any) -> Any:
        return self.head(self.layer1(x)[0][:, -1])


class Attention(nn.Module):
    def __init__(self, features: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(features, 3 * features)
        self.out = nn.Linear(features, features)

    def forward(self, x: Any) -> Any:
        batch, time, features = x.shape
        qkv = self.qkv(x).view(batch, time, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(*qkv.unbind(0))
        return self.out(y.transpose(1, 2).reshape(batch, time, features))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(64, eps=1e-3)
        self.attention = Attention(64, 4)
        self.dense_norm = nn.LayerNorm(64, eps=1e-3)
        self.dense1, self.dense2 = nn.Linear(64, 128), nn.Linear(128, 64)

    def forward(self, x: Any) -> Any:
        x = x + self.attention(self.attention_norm(x))
        return x + self.dense2(F.gelu(self.dense1(self.dense_norm(x))))


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Linear(49, 64)
        self.position_embedding = nn.Parameter(torch.zeros(16, 64))
        for block in range(1, 5):
            setattr(self, f"encoder_block{block}", Block())
        self.encoder_norm = nn.LayerNorm(64, eps=1e-3)
        self.head = nn.Linear(64, 10)

    def forward(self, x: Any) -> Any:
        x = x.view(-1, 4, 7, 4, 7).transpose(2, 3).reshape(-1, 16, 49)
        x = self.patch(x) + self.position_embedding
        for block in range(1, 5):
            x = getattr(self, f"encoder_block{block}")(x)
        return self.head(self.encoder_norm(x).mean(1))


class VAE(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder_dense1 = nn.Linear(784, 400)
        self.encoder_dense2 = nn.Linear(400, 400)
        self.mean, self.logvar = nn.Linear(400, 20), nn.Linear(400, 20)
        self.decoder_dense1 = nn.Linear(20, 400)
        self.decoder_dense2 = nn.Linear(400, 400)
        self.decoder_head = nn.Linear(400, 784)

    def forward(self, x: Any, noise: Any) -> Any:
        h = F.relu(self.encoder_dense2(F.relu(self.encoder_dense1(x.flatten(1)))))
        mean, logvar = self.mean(h), self.logvar(h)
        z = mean + torch.exp(0.5 * logvar) * noise
        h = F.relu(self.decoder_dense2(F.relu(self.decoder_dense1(z))))
        return self.decoder_head(h), mean, logvar


class Generator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        up = lambda *sizes, bias: nn.ConvTranspose2d(
            *sizes, 4, stride=2, padding=1, bias=bias
        )
        # In PyTorch, momentum is the weight of the new value.
        norm = lambda features: nn.BatchNorm2d(features, eps=1e-3, momentum=0.01)
        self.dense = nn.Linear(64, 49 * 64, bias=False)
        self.norm1, self.conv1 = norm(64), up(64, 32, bias=False)
        self.norm2, self.conv2 = norm(32), up(32, 1, bias=True)

    def forward(self, z: Any) -> Any:
        x = self.dense(z).view(-1, 7, 7, 64).permute(0, 3, 1, 2)
        x = F.relu(self.norm1(x))
        return torch.tanh(self.conv2(F.relu(self.norm2(self.conv1(x)))))


class Discriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 4, stride=2, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 4, stride=2, padding=1)
        self.head = nn.Linear(49 * 64, 1)

    def forward(self, x: Any) -> Any:
        x = F.leaky_relu(self.conv1(x), 0.2)
        x = F.leaky_relu(self.conv2(x), 0.2)
        return self.head(x.permute(0, 2, 3, 1).flatten(1))[:, 0]


class GAN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.generator, self.discriminator = Generator(), Discriminator()


_MODELS: dict[str, Callable[[], nn.Module]] = {
    "mlp": MLP,
    "cnn": CNN,
    "lstm": lambda: Recurrent(nn.LSTM),
    "gru": lambda: Recurrent(nn.GRU),
    "transformer": Transformer,
    "vae": VAE,
    "dcgan": GAN,
    "resnet50": images.ResNet50,
    "inceptionv3": images.InceptionV3,
    "densenet121": images.DenseNet121,
    "resnet20": images.ResNet20,
    "mobilenet": images.MobileNetV2,
    "unet": images.UNet,
}
# Those whose inputs are images with channels second.
_IMAGES = (
    *("cnn", "dcgan", "resnet50", "inceptionv3", "densenet121", "resnet20"),
    *("mobilenet", "unet"),
)


class Twin:
    """A case in PyTorch."""

    def __init__(
        self,
        case: str,
        *,
        channels_last: bool = False,
        compile: bool = False,
        graph: bool = False,
    ) -> None:
        """Create the model and its optimizer."""
        self.case, self.channels_last, self.graph = case, channels_last, graph
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.half = False
        self.model = _MODELS[case]().to(self.device)
        if channels_last and case in _IMAGES:
            self.model = self.model.to(memory_format=torch.channels_last)
        parts = (
            (self.model.discriminator, self.model.generator)
            if case == "dcgan"
            else (self.model,)
        )
        self.optimizers = [
            torch.optim.Adam(
                [p for p in part.parameters() if p.requires_grad],
                LEARNING_RATE,
                (BETA_1, BETA_2),
                LONG_EPSILON,
                fused=channels_last,  # in all tuned rows
                capturable=graph,
            )
            for part in parts
        ]
        # CUDA graphs replace the launches of many small kernels.
        mode = "reduce-overhead" if self.device == "cuda" else "default"
        self.parts = [
            torch.compile(part, mode=mode) if compile else part for part in parts
        ]

    def multiply_in(self, precision: Precision) -> None:
        """Set the precision."""
        torch.backends.cuda.matmul.allow_tf32 = precision != "float32"
        torch.backends.cudnn.allow_tf32 = precision != "float32"
        self.half = precision == "bfloat16"

    def load(self, params: Arrays) -> None:
        """Set the parameters."""
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                if parameter.requires_grad:
                    value = _to_torch(self.case, name, params)
                    parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))

    def first_step(self, batch: Arrays) -> Step:
        """Make the first training step."""
        tensors = self._tensors(batch)
        outputs = self.outputs(batch)
        loss = self._step(tensors)
        moments = {
            parameter: state["exp_avg"] / (1 - BETA_1)
            for optimizer in self.optimizers
            for parameter, state in optimizer.state.items()
        }
        trained = [
            (name, p) for name, p in self.model.named_parameters() if p in moments
        ]
        return Step(
            outputs,
            np.array([float(each) for each in loss]),
            _from_torch(self.case, {name: moments[p] for name, p in trained}),
            _from_torch(self.case, {name: p.detach() for name, p in trained}),
        )

    def trainer(self, data: Arrays, batch_size: int) -> Callable[[], Any]:
        """Return the usual loop over slices of arrays in memory."""
        tensors = self._tensors(data)
        batches = [
            {name: x[start : start + batch_size] for name, x in tensors.items()}
            for start in range(0, len(data["input"]), batch_size)
        ]
        step = self._captured(self._step, batches[0]) if self.graph else self._step

        def run() -> Any:
            loss = None
            for batch in batches:
                loss = step(batch)
            return float(loss[0])

        return run

    def outputs(self, batch: Arrays) -> np.ndarray:
        """Return the outputs of the model."""
        outputs = self._outputs(self._tensors(batch))
        if outputs.ndim == 4:
            outputs = outputs.permute(0, 2, 3, 1)
        return outputs.cpu().numpy()

    def predictor(self, batch: Arrays, times: int) -> Callable[[], Any]:
        """Return a function that predicts a batch repeatedly."""
        tensors = self._tensors(batch)
        outputs = self._outputs
        if self.graph:
            outputs = self._captured(self._outputs, tensors)

        def run() -> Any:
            for _ in range(times):
                outputs(tensors)
            if self.device == "cuda":
                torch.cuda.synchronize()

        return run

    def _captured(
        self, call: Callable[[Any], Any], batch: dict[str, torch.Tensor]
    ) -> Callable[[Any], Any]:
        """Return a call as a CUDA graph, which avoids kernel launches."""
        own = {name: x.clone() for name, x in batch.items()}
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(3):
                call(own)
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = call(own)

        def replay(batch: dict[str, torch.Tensor]) -> Any:
            for name, x in batch.items():
                own[name].copy_(x)
            graph.replay()
            return found

        return replay

    def _tensors(self, batch: Arrays) -> dict[str, torch.Tensor]:
        tensors = {
            name: torch.from_numpy(x).to(self.device) for name, x in batch.items()
        }
        if "label" in tensors:
            tensors["label"] = tensors["label"].long()
        if self.case in _IMAGES:
            image = tensors["input"].permute(0, 3, 1, 2)
            layout = (
                torch.channels_last if self.channels_last else torch.contiguous_format
            )
            tensors["input"] = image.contiguous(memory_format=layout)
        return tensors

    def _outputs(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        self.model.eval()
        with torch.inference_mode(), self._autocast():
            match self.case:
                case "vae":
                    return self.parts[0](batch["input"], batch["draw_noise"])[0]
                case "dcgan":
                    return self.parts[1](batch["draw_discriminator"])
            return self.parts[0](batch["input"])

    def _step(self, batch: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        if self.case == "dcgan":
            return self._adversarial(batch)
        (optimizer,), (model,) = self.optimizers, self.parts
        if not self.model.training:
            self.model.train()
        optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            if self.case == "vae":
                y = model(batch["input"], batch["draw_noise"])
                loss = _bound(*y, batch["input"])
            else:
                loss = F.cross_entropy(model(batch["input"]), batch["label"])
        loss.backward()
        optimizer.step()
        return [loss.detach()]

    def _adversarial(self, batch: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        discriminator, generator = self.parts
        if not self.model.training:
            self.model.train()
        judging, making = self.optimizers
        real = 2 * batch["input"] - 1
        cross = lambda logits, label: F.binary_cross_entropy_with_logits(
            logits, torch.full_like(logits, label)
        )
        with torch.no_grad(), self._autocast():
            fake = generator(batch["draw_discriminator"])
        judging.zero_grad(set_to_none=True)
        with self._autocast():
            d_loss = cross(discriminator(real), 1.0) + cross(discriminator(fake), 0.0)
        d_loss.backward()
        judging.step()
        making.zero_grad(set_to_none=True)
        for parameter in self.model.discriminator.parameters():
            parameter.requires_grad_(False)
        with self._autocast():
            g_loss = cross(discriminator(generator(batch["draw_generator"])), 1.0)
        g_loss.backward()
        making.step()
        for parameter in self.model.discriminator.parameters():
            parameter.requires_grad_(True)
        return [d_loss.detach(), g_loss.detach()]

    def _autocast(self) -> Any:
        if not self.half:
            return contextlib.nullcontext()
        # Each replay copies the parameters to half precision again.
        return torch.autocast(self.device, torch.bfloat16, cache_enabled=not self.graph)


def _bound(logits: Any, mean: Any, logvar: Any, image: Any) -> Any:
    cross = F.binary_cross_entropy_with_logits
    nll = cross(logits, image.flatten(1), reduction="none").sum(1)
    kl = -0.5 * (1 + logvar - mean**2 - logvar.exp()).sum(1)
    return (nll + kl).mean()


def _to_torch(case: str, name: str, params: Arrays) -> np.ndarray:
    """Convert a parameter of fdl to the layout of the parameter `name` in PyTorch."""
    *layers, kind = name.split(".")
    layer = "_".join(layers)
    if not layer:
        return params[kind]
    if layers[-1] == "layer1":
        if "weight" in kind:
            side = "kernel" if "ih" in kind else "recurrent_kernel"
            return _reorder(case, params[f"layer1_{side}"]).T
        bias = _reorder(case, params["layer1_bias"])
        return bias if case == "lstm" else bias[int("hh" in kind)]
    if layers[-1] == "qkv":
        part = layer.removesuffix("qkv")
        what = "kernel" if kind == "weight" else "bias"
        three = [params[f"{part}{one}_{what}"] for one in ("query", "key", "value")]
        if kind == "bias":
            return np.concatenate([x.ravel() for x in three])
        return np.concatenate([x.reshape(len(x), -1).T for x in three])
    if kind == "bias":
        return params[f"{layer}_bias"].ravel()
    if f"{layer}_scale" in params:
        return params[f"{layer}_scale"]
    kernel = params[f"{layer}_kernel"]
    if layer.endswith("_depthwise"):
        return kernel.transpose(2, 3, 0, 1)
    if kernel.ndim == 4:
        return kernel.transpose(3, 2, 0, 1)
    return kernel.reshape(-1, kernel.shape[-1]).T


def _from_torch(case: str, tensors: dict[str, torch.Tensor]) -> Arrays:
    """Return arrays by fdl's names, in fdl's layout."""
    flat: Arrays = {}
    for name, tensor in tensors.items():
        value = tensor.cpu().numpy()
        *layers, kind = name.split(".")
        layer = "_".join(layers)
        if not layer:
            flat[kind] = value
        elif layers[-1] == "layer1":
            if "weight" in kind:
                side = "kernel" if "ih" in kind else "recurrent_kernel"
                flat[f"layer1_{side}"] = _reorder(case, value.T)
            elif case == "lstm":
                flat["layer1_bias"] = value
            else:
                both = flat.setdefault("layer1_bias", np.zeros((2, 384), np.float32))
                both[int("hh" in kind)] = _reorder(case, value)
        elif layers[-1] == "qkv":
            part = layer.removesuffix("qkv")
            what = "kernel" if kind == "weight" else "bias"
            for one, x in zip(
                ("query", "key", "value"), np.split(value, 3), strict=True
            ):
                x = x.T if kind == "weight" else x
                flat[f"{part}{one}_{what}"] = x.reshape(*x.shape[:-1], 4, -1)
        elif kind == "bias":
            flat[f"{layer}_bias"] = value
        elif value.ndim == 1:
            flat[f"{layer}_scale"] = value
        elif layer.endswith("_depthwise"):
            flat[f"{layer}_kernel"] = value.transpose(2, 3, 0, 1)
        elif value.ndim == 4:
            flat[f"{layer}_kernel"] = value.transpose(2, 3, 1, 0)
        elif layer.endswith("attention_out"):
            flat[f"{layer}_kernel"] = value.T.reshape(4, -1, math.isqrt(value.size))
        else:
            flat[f"{layer}_kernel"] = value.T
    return flat


def _reorder(case: str, x: np.ndarray) -> np.ndarray:
    """Swap between fdl's gates z, r, h and PyTorch's r, z, n; LSTM gates agree."""
    if case == "lstm":
        return x
    first, second, third = np.split(x, 3, axis=-1)
    return np.concatenate([second, first, third], axis=-1)
