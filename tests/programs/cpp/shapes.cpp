// Objects on the heap, with virtual functions, and a matrix that takes some megabytes.
#include <cmath>
#include <iostream>
#include <memory>
#include <vector>

struct Shape {
    virtual ~Shape() = default;
    virtual double area() const = 0;
};
struct Square : Shape {
    double side;
    explicit Square(double side) : side(side) {}
    double area() const override { return side * side; }
};
struct Circle : Shape {
    double radius;
    explicit Circle(double radius) : radius(radius) {}
    double area() const override { return M_PI * radius * radius; }
};

int main() {
    std::vector<std::unique_ptr<Shape>> shapes;
    for (int i = 0; i < 20000; i++) {
        if (i % 2) shapes.push_back(std::make_unique<Square>(i));
        else shapes.push_back(std::make_unique<Circle>(i));
    }
    double sum = 0;
    for (const auto &shape : shapes) sum += shape->area();
    const size_t n = 400;
    std::vector<std::vector<double>> matrix(n, std::vector<double>(n, 1.5));
    double trace = 0;
    for (size_t i = 0; i < n; i++) trace += matrix[i][i];
    std::cout << "ok " << shapes.size() << ' ' << static_cast<long long>(sum / 1e9) << ' ' << trace << std::endl;
}
