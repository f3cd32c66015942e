// What SoapySDR's server takes for a running Avahi that announces nothing. Without Avahi it ends after its first client.
#include <condition_variable>
#include <mutex>

namespace {
std::mutex mutex;
std::condition_variable told;
bool over = false;
int handle;
constexpr int CONNECTING = 101;
}  // namespace

extern "C" {
void *avahi_simple_poll_new() { return &handle; }
const void *avahi_simple_poll_get(void *) { return &handle; }
int avahi_simple_poll_loop(void *) {
    std::unique_lock<std::mutex> hold(mutex);
    told.wait(hold, [] { return over; });
    return 0;
}
int avahi_simple_poll_iterate(void *, int) { return 0; }
void avahi_simple_poll_quit(void *) {
    {
        std::lock_guard<std::mutex> hold(mutex);
        over = true;
    }
    told.notify_all();
}
void avahi_simple_poll_free(void *) {}
void *avahi_client_new(const void *, int, void *, void *, int *) { return &handle; }
int avahi_client_get_state(void *) { return CONNECTING; }
const char *avahi_client_get_version_string(void *) { return ""; }
const char *avahi_client_get_host_name(void *) { return ""; }
const char *avahi_client_get_host_name_fqdn(void *) { return ""; }
const char *avahi_client_get_domain_name(void *) { return ""; }
void avahi_client_free(void *) {}
}
