// Counts words in a tree and in a table.
#include <algorithm>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

int main() {
    std::ostringstream made;
    for (int i = 0; i < 30000; i++) made << "word" << i % 5000 << ' ';
    std::istringstream text(made.str());
    std::map<std::string, int> tree;
    std::unordered_map<std::string, int> table;
    for (std::string word; text >> word;) tree[word]++, table[word]++;
    std::vector<std::pair<int, std::string>> all;
    for (const auto &[word, count] : tree) all.emplace_back(count, word);
    std::sort(all.begin(), all.end());
    const bool same = std::all_of(tree.begin(), tree.end(), [&](const auto &one) { return table[one.first] == one.second; });
    std::cout << "ok " << all.size() << ' ' << all.front().second << ' ' << same << std::endl;
}
