// Allocates in every way that C++ brings along, at many depths.
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

struct Node {
  virtual ~Node() = default;
  virtual std::string text(int depth) const = 0;
};

struct Leaf : Node {
  std::string word;
  explicit Leaf(std::string w) : word(std::move(w)) {}
  std::string text(int depth) const override {
    return word + std::string(30, static_cast<char>('a' + depth % 26));
  }
};

struct Pair : Node {
  std::unique_ptr<Node> left, right;
  std::string text(int depth) const override {
    return left->text(depth + 1) + right->text(depth + 1);
  }
};

static std::unique_ptr<Node> grow(int depth) {
  if (depth == 0)
    return std::make_unique<Leaf>("a leaf with a name of more than sixteen letters");
  auto pair = std::make_unique<Pair>();
  pair->left = grow(depth - 1);
  pair->right = grow(depth - 2 > 0 ? depth - 2 : 0);
  return pair;
}

static int thrown(int depth) {
  if (depth == 0)
    throw std::runtime_error("an exception with a long message, thrown from below");
  std::vector<int> held(static_cast<size_t>(depth) * 10);
  return thrown(depth - 1) + held[0];
}

int main() {
  size_t sum = 0;
  for (int round = 0; round < 1000; round++) {
    sum += grow(7)->text(0).size();
    std::map<std::string, std::set<int>> index;
    for (int i = 0; i < 20; i++)
      index["key number " + std::to_string(i * 7919 % 20) + " of this map"].insert(i);
    std::vector<std::function<std::string()>> calls;
    for (auto &[key, values] : index)
      calls.emplace_back([&key, n = values.size()] { return key + std::to_string(n); });
    std::stable_sort(calls.begin(), calls.end(),
                     [](const auto &a, const auto &b) { return a() < b(); });
    for (auto &call : calls)
      sum += call().size();
    std::regex pattern("(k[a-z]+ |n[a-z]*)+([0-9]{1,3}).*");
    std::smatch match;
    std::string subject = index.begin()->first;
    sum += std::regex_match(subject, match, pattern) ? match.size() : 0;
    std::ostringstream stream;
    stream << subject << ' ' << round * 1.5 << std::endl;
    sum += stream.str().size();
    try {
      thrown(5);
    } catch (const std::exception &error) {
      sum += std::string(error.what()).size();
    }
  }
  std::cout << sum << std::endl;
}
