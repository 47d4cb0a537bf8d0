int test_interop(void);
int test_resources(void);

int main(void)
{
    return test_resources() + test_interop();
}
