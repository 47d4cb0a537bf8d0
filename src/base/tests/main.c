int test_config(void);
int test_file(void);
int test_memory(void);
int test_text(void);

int main(void)
{
    return test_config() + test_file() + test_memory() + test_text();
}
