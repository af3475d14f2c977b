// SPDX-License-Identifier: BSL-1.0
// ResNet-18 in plain torch::nn: torchvision's architecture, module names and parameter names, so that its
// weights load by name. Nothing here knows that it will be exported.
#pragma once

#include <torch/torch.h>

#include <tuple>

namespace models {

struct resnet18_options {
  int64_t width = 64; ///< channels of the first stage; each later stage doubles them
  int64_t classes = 1000;
  int64_t image_size = 224; ///< of the example input; the network takes any size
};

/// An eighth of the channels on small images: the same graph in milliseconds.
inline resnet18_options resnet18_small() { return {.width = 8, .classes = 10, .image_size = 64}; }

/// One batch of two images, in the order of `ResNet18Impl::forward`.
inline std::tuple<torch::Tensor> example_inputs(const resnet18_options& options) {
  return {torch::randn({2, 3, options.image_size, options.image_size})};
}

namespace resnet {

inline torch::nn::Conv2d conv3x3(int64_t in, int64_t out, int64_t stride = 1) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 3).stride(stride).padding(1).bias(false));
}

inline torch::nn::Conv2d conv1x1(int64_t in, int64_t out, int64_t stride) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 1).stride(stride).bias(false));
}

inline torch::nn::ReLU relu_in_place() { return torch::nn::ReLU(torch::nn::ReLUOptions().inplace(true)); }

} // namespace resnet

/// Two 3x3 convolutions and a shortcut, which is a strided 1x1 convolution where the block changes the shape.
struct BasicBlockImpl : torch::nn::Module {
  BasicBlockImpl(int64_t in, int64_t out, int64_t stride) {
    conv1 = register_module("conv1", resnet::conv3x3(in, out, stride));
    bn1 = register_module("bn1", torch::nn::BatchNorm2d(out));
    relu = register_module("relu", resnet::relu_in_place());
    conv2 = register_module("conv2", resnet::conv3x3(out, out));
    bn2 = register_module("bn2", torch::nn::BatchNorm2d(out));
    if (stride != 1 || in != out) {
      downsample = register_module(
          "downsample", torch::nn::Sequential(resnet::conv1x1(in, out, stride), torch::nn::BatchNorm2d(out)));
    }
  }

  torch::Tensor forward(torch::Tensor x) {
    auto out = relu(bn1(conv1(x)));
    out = bn2(conv2(out));
    out += downsample ? downsample->forward(x) : x;
    return relu(out);
  }

  torch::nn::Conv2d conv1{nullptr}, conv2{nullptr};
  torch::nn::BatchNorm2d bn1{nullptr}, bn2{nullptr};
  torch::nn::ReLU relu{nullptr};
  torch::nn::Sequential downsample{nullptr};
};
TORCH_MODULE(BasicBlock);

struct ResNet18Impl : torch::nn::Module {
  explicit ResNet18Impl(const resnet18_options& options = {}) {
    const auto width = options.width;
    conv1 = register_module(
        "conv1", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, width, 7).stride(2).padding(3).bias(false)));
    bn1 = register_module("bn1", torch::nn::BatchNorm2d(width));
    relu = register_module("relu", resnet::relu_in_place());
    maxpool =
        register_module("maxpool", torch::nn::MaxPool2d(torch::nn::MaxPool2dOptions(3).stride(2).padding(1)));
    layer1 = register_module("layer1", stage(width, width, 1));
    layer2 = register_module("layer2", stage(width, 2 * width, 2));
    layer3 = register_module("layer3", stage(2 * width, 4 * width, 2));
    layer4 = register_module("layer4", stage(4 * width, 8 * width, 2));
    avgpool =
        register_module("avgpool", torch::nn::AdaptiveAvgPool2d(torch::nn::AdaptiveAvgPool2dOptions({1, 1})));
    fc = register_module("fc", torch::nn::Linear(8 * width, options.classes));
  }

  /// `x`: images [batch, 3, height, width]; returns logits [batch, classes].
  torch::Tensor forward(torch::Tensor x) {
    x = maxpool(relu(bn1(conv1(x))));
    x = layer1->forward(x);
    x = layer2->forward(x);
    x = layer3->forward(x);
    x = layer4->forward(x);
    return fc(torch::flatten(avgpool(x), 1));
  }

  torch::nn::Conv2d conv1{nullptr};
  torch::nn::BatchNorm2d bn1{nullptr};
  torch::nn::ReLU relu{nullptr};
  torch::nn::MaxPool2d maxpool{nullptr};
  torch::nn::Sequential layer1{nullptr}, layer2{nullptr}, layer3{nullptr}, layer4{nullptr};
  torch::nn::AdaptiveAvgPool2d avgpool{nullptr};
  torch::nn::Linear fc{nullptr};

private:
  static torch::nn::Sequential stage(int64_t in, int64_t out, int64_t stride) {
    return torch::nn::Sequential(BasicBlock(in, out, stride), BasicBlock(out, out, 1));
  }
};
TORCH_MODULE(ResNet18);

} // namespace models
