// A SoapySDR module for a station of the simulated air, for tests: `driver=bandpact_air,socket=PATH,station=NAME`.
//
// Every device is a connection of its own to a local socket (see airbridge.py), one request at a time:
// a line of words, then binary samples where the line says how many; the answer is one line `ok WORDS` or `no REASON`.
#include <SoapySDR/Device.hpp>
#include <SoapySDR/Formats.hpp>
#include <SoapySDR/Registry.hpp>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <vector>

namespace {

constexpr double GAIN_MOST = 71, ATTENUATION_MOST = 89.75, RX_FULL = 2048, TX_FULL = 16384;
constexpr size_t MTU = 262144;

class Connection {
public:
    explicit Connection(const std::string &path) {
        file_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
        sockaddr_un at{};
        at.sun_family = AF_UNIX;
        std::strncpy(at.sun_path, path.c_str(), sizeof(at.sun_path) - 1);
        if (file_ < 0 || ::connect(file_, reinterpret_cast<sockaddr *>(&at), sizeof(at)) != 0) {
            if (file_ >= 0) ::close(file_);
            throw std::runtime_error("no air at " + path);
        }
    }
    ~Connection() { ::close(file_); }
    Connection(const Connection &) = delete;

    // Ask, with samples to send or to be given; returns the words after `ok`, and throws what follows `no`.
    std::string ask(const std::string &line, const void *out = nullptr, size_t outBytes = 0, std::vector<int16_t> *in = nullptr) {
        std::lock_guard<std::mutex> hold(mutex_);
        put(line.data(), line.size());
        put("\n", 1);
        if (out != nullptr) put(out, outBytes);
        std::string answer;
        for (char one = 0; get(&one, 1), one != '\n';) answer += one;
        if (answer.rfind("ok", 0) != 0) throw std::runtime_error(answer.substr(std::min<size_t>(3, answer.size())));
        if (in != nullptr) {
            in->resize(2 * std::stoul(answer.substr(3)));
            get(in->data(), in->size() * sizeof(int16_t));
        }
        return answer.size() > 3 ? answer.substr(3) : "";
    }

private:
    void put(const void *data, size_t size) {
        for (auto at = static_cast<const char *>(data); size > 0;) {
            const auto done = ::send(file_, at, size, MSG_NOSIGNAL);
            if (done <= 0) throw std::runtime_error("the air is gone");
            at += done;
            size -= size_t(done);
        }
    }
    void get(void *data, size_t size) {
        for (auto at = static_cast<char *>(data); size > 0;) {
            const auto done = ::recv(file_, at, size, 0);
            if (done <= 0) throw std::runtime_error("the air is gone");
            at += done;
            size -= size_t(done);
        }
    }
    int file_ = -1;
    std::mutex mutex_;
};

struct Side {
    double frequency = 3555e6, rate = 1.92e6, bandwidth = 1.5e6, gain = 0;
};

struct AirStream {
    int direction;
    bool floats;
    bool on;
    std::vector<int16_t> left;  // received and not yet handed out
    size_t at;
    std::mutex mutex{};  // a server reads in one thread and switches in another
    std::atomic<int> switching{0};  // a reader that makes no pause would take the mutex again before whoever waits for it
};

class Switching {  // holds a stream, ahead of its reader
public:
    explicit Switching(AirStream &stream) : stream_(stream) {
        ++stream_.switching;
        stream_.mutex.lock();
    }
    ~Switching() {
        stream_.mutex.unlock();
        --stream_.switching;
    }

private:
    AirStream &stream_;
};

class AirDevice : public SoapySDR::Device {
public:
    explicit AirDevice(const SoapySDR::Kwargs &args)
        : control_(args.at("socket")), receiving_(args.at("socket")), station_(args.at("station")) {
        for (auto *one : {&control_, &receiving_}) serial_ = one->ask("hello " + station_);
    }

    std::string getDriverKey() const override { return "bandpact_air"; }
    std::string getHardwareKey() const override { return "bandpact-sim"; }
    SoapySDR::Kwargs getHardwareInfo() const override { return {{"serial", serial_}, {"station", station_}}; }
    size_t getNumChannels(const int) const override { return 1; }
    bool getFullDuplex(const int, const size_t) const override { return true; }
    std::vector<std::string> listAntennas(const int, const size_t) const override { return {"ANT"}; }
    std::string getAntenna(const int, const size_t) const override { return "ANT"; }
    void setAntenna(const int, const size_t, const std::string &) override {}

    std::vector<std::string> listGains(const int, const size_t) const override { return {"ALL"}; }
    SoapySDR::Range getGainRange(const int direction, const size_t) const override {
        return direction == SOAPY_SDR_RX ? SoapySDR::Range(0, GAIN_MOST, 1) : SoapySDR::Range(0, ATTENUATION_MOST, 0.25);
    }
    SoapySDR::Range getGainRange(const int direction, const size_t channel, const std::string &) const override {
        return getGainRange(direction, channel);
    }
    void setGain(const int direction, const size_t, const double value) override {
        side(direction).gain = value;
        if (direction == SOAPY_SDR_RX) tuneRx();
        else if (value <= 0) control_.ask("mute");  // the least gain switches the simulated unit's output off
        else tuneTx();
    }
    void setGain(const int direction, const size_t channel, const std::string &, const double value) override {
        setGain(direction, channel, value);
    }
    // Gains and the receiver's tuning are read from the unit itself: another handle may have changed them.
    double getGain(const int direction, const size_t) const override {
        if (direction == SOAPY_SDR_RX) return held().gain;
        return std::stod(control_.ask("txgain"));
    }
    double getGain(const int direction, const size_t channel, const std::string &) const override {
        return getGain(direction, channel);
    }

    std::vector<std::string> listFrequencies(const int, const size_t) const override { return {"RF"}; }
    SoapySDR::RangeList getFrequencyRange(const int, const size_t) const override { return {SoapySDR::Range(70e6, 6e9)}; }
    SoapySDR::RangeList getFrequencyRange(const int direction, const size_t channel, const std::string &) const override {
        return getFrequencyRange(direction, channel);
    }
    void setFrequency(const int direction, const size_t, const double value, const SoapySDR::Kwargs &) override {
        side(direction).frequency = value;
        retune(direction);
    }
    void setFrequency(const int direction, const size_t channel, const std::string &, const double value, const SoapySDR::Kwargs &args) override {
        setFrequency(direction, channel, value, args);
    }
    double getFrequency(const int direction, const size_t) const override { return now(direction).frequency; }
    double getFrequency(const int direction, const size_t channel, const std::string &) const override {
        return getFrequency(direction, channel);
    }
    SoapySDR::RangeList getSampleRateRange(const int, const size_t) const override {
        return {SoapySDR::Range(520834, 61.44e6)};
    }
    void setSampleRate(const int direction, const size_t, const double value) override {
        side(direction).rate = value;
        retune(direction);
    }
    double getSampleRate(const int direction, const size_t) const override { return now(direction).rate; }
    SoapySDR::RangeList getBandwidthRange(const int, const size_t) const override { return {SoapySDR::Range(2e5, 56e6)}; }
    void setBandwidth(const int direction, const size_t, const double value) override {
        side(direction).bandwidth = value;
        retune(direction);
    }
    double getBandwidth(const int direction, const size_t) const override { return now(direction).bandwidth; }

    std::vector<std::string> getStreamFormats(const int, const size_t) const override {
        return {SOAPY_SDR_CS16, SOAPY_SDR_CF32};
    }
    std::string getNativeStreamFormat(const int direction, const size_t, double &full) const override {
        full = direction == SOAPY_SDR_RX ? RX_FULL : TX_FULL;
        return SOAPY_SDR_CS16;
    }
    SoapySDR::Stream *setupStream(const int direction, const std::string &format, const std::vector<size_t> &, const SoapySDR::Kwargs &) override {
        if (format != SOAPY_SDR_CS16 && format != SOAPY_SDR_CF32) throw std::runtime_error("format " + format);
        return reinterpret_cast<SoapySDR::Stream *>(new AirStream{direction, format == SOAPY_SDR_CF32, false, {}, 0});
    }
    void closeStream(SoapySDR::Stream *stream) override { delete reinterpret_cast<AirStream *>(stream); }
    size_t getStreamMTU(SoapySDR::Stream *) const override { return MTU; }
    int activateStream(SoapySDR::Stream *handle, const int, const long long, const size_t) override {
        auto &stream = *reinterpret_cast<AirStream *>(handle);
        const Switching switches(stream);
        if (stream.direction == SOAPY_SDR_RX) {
            if (!tuned_) tuneRx();
            receiving_.ask("start");
            stream.left.clear();
            stream.at = 0;
        }
        stream.on = true;
        return 0;
    }
    int deactivateStream(SoapySDR::Stream *handle, const int, const long long) override {
        auto &stream = *reinterpret_cast<AirStream *>(handle);
        const Switching switches(stream);
        if (stream.direction == SOAPY_SDR_TX && stream.on) control_.ask("mute");
        stream.on = false;
        return 0;
    }
    int readStream(SoapySDR::Stream *handle, void *const *buffers, const size_t count, int &flags, long long &, const long) override {
        auto &stream = *reinterpret_cast<AirStream *>(handle);
        std::unique_lock<std::mutex> hold(stream.mutex, std::defer_lock);
        if (!stream.switching) hold.lock();
        if (!hold || !stream.on) {
            if (hold) hold.unlock();
            ::usleep(1000);
            return SOAPY_SDR_TIMEOUT;
        }
        flags = 0;
        try {
            if (stream.at >= stream.left.size()) {
                receiving_.ask("read " + std::to_string(std::min<size_t>(count, MTU)), nullptr, 0, &stream.left);
                stream.at = 0;
                if (stream.left.empty()) return SOAPY_SDR_OVERFLOW;
            }
        } catch (const std::runtime_error &) {
            return SOAPY_SDR_STREAM_ERROR;
        }
        const size_t values = std::min(2 * count, stream.left.size() - stream.at);
        const int16_t *from = stream.left.data() + stream.at;
        if (stream.floats) {
            std::transform(from, from + values, static_cast<float *>(buffers[0]), [](int16_t one) { return float(one / RX_FULL); });
        } else {
            std::copy(from, from + values, static_cast<int16_t *>(buffers[0]));
        }
        stream.at += values;
        return int(values / 2);
    }
    int writeStream(SoapySDR::Stream *handle, const void *const *buffers, const size_t count, int &, const long long, const long) override {
        auto &stream = *reinterpret_cast<AirStream *>(handle);
        std::lock_guard<std::mutex> hold(stream.mutex);
        if (!stream.on) return SOAPY_SDR_STREAM_ERROR;
        std::vector<int16_t> codes(2 * std::min(count, MTU));
        if (stream.floats) {
            auto from = static_cast<const float *>(buffers[0]);
            std::transform(from, from + codes.size(), codes.begin(), [](float one) {
                return int16_t(std::lround(std::clamp(double(one) * TX_FULL, -32768.0, 32767.0)));
            });
        } else {
            auto from = static_cast<const int16_t *>(buffers[0]);
            std::copy(from, from + codes.size(), codes.begin());
        }
        try {
            control_.ask("send " + std::to_string(codes.size() / 2), codes.data(), codes.size() * sizeof(int16_t));
        } catch (const std::runtime_error &) {
            return SOAPY_SDR_STREAM_ERROR;
        }
        return int(codes.size() / 2);
    }

private:
    Side &side(int direction) { return direction == SOAPY_SDR_RX ? rx_ : tx_; }
    // How a direction is set, whoever set it.
    Side now(int direction) const {
        if (direction == SOAPY_SDR_TX) return tx_.gain > 0 ? held("txstate") : tx_;
        return tuned_ ? held("rxstate") : rx_;
    }
    Side held() const { return now(SOAPY_SDR_RX); }
    Side held(const std::string &question) const {
        std::istringstream said(control_.ask(question));
        Side found;
        said >> found.frequency >> found.rate >> found.bandwidth >> found.gain;
        return found;
    }
    static std::string words(const Side &side, double level) {
        std::ostringstream line;
        line.precision(15);
        line << " " << side.frequency << " " << side.rate << " " << side.bandwidth << " " << level;
        return line.str();
    }
    void retune(int direction) {
        if (direction == SOAPY_SDR_RX) tuneRx();
        else if (tx_.gain > 0) tuneTx();
    }
    void tuneRx() {
        receiving_.ask("rx" + words(rx_, rx_.gain));
        tuned_ = true;
    }
    void tuneTx() { control_.ask("tx" + words(tx_, ATTENUATION_MOST - tx_.gain)); }

    mutable Connection control_;
    Connection receiving_;
    std::string station_, serial_;
    Side rx_, tx_;
    bool tuned_ = false;
};

SoapySDR::KwargsList findAir(const SoapySDR::Kwargs &args) {
    if (args.count("socket") == 0 || args.count("station") == 0) return {};
    SoapySDR::Kwargs found = args;
    found["label"] = "simulated air, station " + args.at("station");
    return {found};
}

SoapySDR::Device *makeAir(const SoapySDR::Kwargs &args) { return new AirDevice(args); }

SoapySDR::Registry registered("bandpact_air", &findAir, &makeAir, SOAPY_SDR_ABI_VERSION);

}  // namespace
