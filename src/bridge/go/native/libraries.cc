// Libraries, and the configurations of their plugins.
#include <dlfcn.h>
#include <sys/prctl.h>

#include "addon.h"

namespace {

/**
 * The threads that are made while it lives, and theirs, may sleep longer than they ask for, so that the kernel wakes them less often. For Go's monitor thread:
 * when calls come often it looks around every 20 µs, between calls too, and each look costs two changes of the thread that runs.
 */
class RelaxedTimers {
 public:
  RelaxedTimers() : before_(prctl(PR_GET_TIMERSLACK)) {
    if (before_ >= 0 && before_ < kSlackNs) prctl(PR_SET_TIMERSLACK, kSlackNs);
  }
  ~RelaxedTimers() {
    // 0 would mean what the thread began with.
    if (before_ > 0) prctl(PR_SET_TIMERSLACK, before_);
  }

 private:
  static constexpr long kSlackNs = 1'000'000;
  const long before_;
};

void* open_relaxed(const char* path) {
  const RelaxedTimers relaxed;
  return dlopen(path, RTLD_LAZY | RTLD_LOCAL);
}

}  // namespace

/** `open(path)`: the library's number. */
napi_value open_library(napi_env env, napi_callback_info info) {
  const std::string path = Arguments(env, info).text(0);
  void* handle = open_relaxed(path.c_str());
  if (handle == nullptr) return fail(env, dlerror());
  Library library{};
  const auto find = [handle](const char* name, auto& function) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(handle, name));
    return function != nullptr;
  };
  if (!find("envoyGoHttpTcpBridgeOnConfig", library.on_config) ||
      !find("envoyGoHttpTcpBridgeDestroyPluginConfig", library.destroy_config) ||
      !find("envoyGoHttpTcpBridgeOnEncodeHeader", library.on_encode_header) ||
      !find("envoyGoHttpTcpBridgeOnEncodeData", library.on_encode_data) ||
      !find("envoyGoHttpTcpBridgeOnUpstreamData", library.on_upstream_data) ||
      !find("envoyGoHttpTcpBridgeOnDestroy", library.on_destroy))
    return fail(env, "it does not export the six functions of a bridge");
  host().libraries.push_back(library);
  return to_number(env, static_cast<double>(host().libraries.size() - 1));
}

static const Library* library_at(double index) {
  auto& libraries = host().libraries;
  return index >= 0 && index < libraries.size() ? &libraries[static_cast<size_t>(index)] : nullptr;
}

/** `configure(library, plugin, any)`: a number for the configured plugin; -1: refused, see `error()`. */
napi_value configure(napi_env env, napi_callback_info info) {
  const Arguments args(env, info);
  const Library* library = library_at(args.number(0));
  if (library == nullptr || current_call != nullptr) return fail(env, "no such library");
  Host& h = host();
  const std::string& name = *h.names.insert(args.text(1)).first;
  Call call(Phase::config, name);
  void* data = nullptr;
  size_t length = 0;
  napi_get_typedarray_info(env, args.values[2], nullptr, &length, &data, nullptr, nullptr);
  HttpConfig config{reinterpret_cast<uint64_t>(name.data()), name.size(), reinterpret_cast<uint64_t>(data), length};
  uint64_t id;
  {
    const OnStack on(call);
    id = library->on_config(&config);
  }
  last.error = call.error;
  if (id == 0) return to_number(env, -1);
  size_t number = h.plugins.size();
  if (h.free_plugins.empty()) {
    h.plugins.emplace_back();
  } else {
    number = h.free_plugins.back();
    h.free_plugins.pop_back();
  }
  h.plugins[number] = {library, &name, id};
  return to_number(env, static_cast<double>(number));
}

/** `destroyConfig(plugin)`: no exchange may have it any more. */
napi_value destroy_config(napi_env env, napi_callback_info info) {
  const double number = Arguments(env, info).number(0);
  Host& h = host();
  if (!(number >= 0 && number < h.plugins.size())) return fail(env, "no such plugin");
  const Plugin& plugin = h.plugins[static_cast<size_t>(number)];
  plugin.library->destroy_config(plugin.config);
  h.free_plugins.push_back(static_cast<size_t>(number));
  return nullptr;
}

/** `initialize(library)`: returns when Go's init functions have run, for which the first call waits. */
napi_value initialize(napi_env env, napi_callback_info info) {
  const Library* library = library_at(Arguments(env, info).number(0));
  if (library == nullptr) return fail(env, "no such library");
  library->destroy_config(0);
  return nullptr;
}

/** `liveConfigs()`: how many configurations Go has. */
napi_value live_configs(napi_env env, napi_callback_info) {
  return to_number(env, static_cast<double>(host().plugins.size() - host().free_plugins.size()));
}
