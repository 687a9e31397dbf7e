// Allocates at many depths, by calls of its own only.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef ROUNDS
#define ROUNDS 1000
#endif

struct node {
  struct node *left, *right;
  char *word;
};

static char *copy(const char *word, int length) {
  char *to = malloc((size_t)length + 9);
  memcpy(to, word, 9);
  return realloc(to, (size_t)length + 20);
}

static struct node *grow(int depth, char *word) {
  struct node *node = malloc(sizeof *node);
  node->word = copy(word, depth);
  node->left = node->right = NULL;
  if (depth > 0) {
    word[depth % 8]++;
    node->left = grow(depth - 1, word);
    node->right = grow(depth - 3 > 0 ? depth - 3 : 0, word);
  }
  return node;
}

static size_t visit(struct node *node, size_t (*each)(const char *)) {
  return node ? visit(node->left, each) + each(node->word) + visit(node->right, each) : 0;
}

static size_t doubled(const char *word) {
  char *twice = malloc(2 * strlen(word) + 1);
  strcpy(stpcpy(twice, word), word);
  size_t length = strlen(twice);
  free(twice);
  return length;
}

int main(void) {
  size_t sum = 0;
  for (int round = 0; round < ROUNDS; round++) {
    char word[16] = "abcdefgh";
    sum += visit(grow(9, word), doubled);
  }
  printf("%zu\n", sum);
}
