// Streams into a file and out of it.
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iostream>
#include <random>
#include <string>

int main(int argc, char **argv) {
    std::random_device device;
    const std::string path = "/data/cpp" + std::to_string(device()) + std::to_string(device());
    {
        std::ofstream out(path);
        for (int i = 0; i < 5000; i++) out << "line " << i << '\n';
        if (!out) return 1;
    }
    std::ifstream in(path);
    size_t lines = 0, bytes = 0;
    for (std::string line; std::getline(in, line); lines++) bytes += line.size();
    in.close();
    if (std::remove(path.c_str())) return 2;
    std::cout << "ok " << lines << ' ' << bytes;
    for (int i = 1; i < argc; i++) std::cout << ' ' << argv[i];
    std::cout << std::endl;
}
