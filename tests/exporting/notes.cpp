// SPDX-License-Identifier: BSL-1.0
// What an export of the example models reports: nothing to note, though LibTorch's layers and kernels ask for
// strides and contiguity all the time.
#include <espalier/espalier.hpp>

#include "models/bert.hpp"
#include "models/llama.hpp"
#include "models/lstm_classifier.hpp"
#include "models/resnet18.hpp"

#include <doctest/doctest.h>

#include <string>
#include <tuple>

namespace es = espalier;

namespace {

template <class Net, class Options>
void check_no_notes(const Options& options) {
  Net net(options);
  for (const bool training : {false, true}) {
    net->train(training);
    es::trace_report report;
    std::apply([&](auto... x) { es::export_program(net, es::inputs(x...), {}, &report); },
               models::example_inputs(options));
    CAPTURE(net->name());
    CAPTURE(es::to_string(report));
    CHECK(report.served(es::served_by::shape_rule) >= 9);
    CHECK(report.notes.empty());
  }
}

} // namespace

TEST_CASE("the example models are exported without a note") {
  check_no_notes<models::ResNet18>(models::resnet18_small());
  check_no_notes<models::Bert>(models::bert_small());
  check_no_notes<models::Llama>(models::llama_small());
  check_no_notes<models::LSTMClassifier>(models::lstm_classifier_small());
}
