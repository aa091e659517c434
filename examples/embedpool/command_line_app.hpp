#pragma once

// CLI11's header takes seconds to compile: only files that add flags read it.
namespace CLI {
class App;
}
